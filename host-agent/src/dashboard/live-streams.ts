/**
 * The pages that are open, each told once a second how things stand: server-sent events over a response that does not end.
 *
 * Source: "Server-sent events" of the HTML standard. One snapshot serves all pages; a page that does not read misses some, and is never
 * waited for.
 */
import type { ServerResponse } from 'node:http';
import { DiskswarmError } from '@diskswarm/core';
import { qrCodeOf } from './qr-code.ts';
import type { TrafficHistory } from './traffic-history.ts';

/** Pages that are open at once. */
const MAX_DASHBOARD_PAGES = 16;
/** Unread by one page; then it is told nothing. */
const MAX_UNREAD_PAGE_BYTES = 1024 * 1024;

export interface LiveStreamsOptions {
  readonly hostId: string;
  readonly history: TrafficHistory;
  readonly snapshot: () => Promise<object>;
  readonly onDefect: (error: unknown) => void;
}

export class LiveStreams {
  readonly #options: LiveStreamsOptions;
  readonly #pages = new Set<ServerResponse>();
  #telling = false;

  constructor(options: LiveStreamsOptions) {
    this.#options = options;
  }

  /** Tells the page everything, and what changes from now on; false when there are too many. */
  add(response: ServerResponse, headers: Readonly<Record<string, string>>): boolean {
    if (this.#pages.size >= MAX_DASHBOARD_PAGES) return false;
    const { hostId, history } = this.#options;
    this.#pages.add(response);
    response.on('close', () => this.#pages.delete(response));
    response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    send(response, 'hello', { hostId, qr: qrCodeOf(hostId), samples: history.samples });
    this.tick();
    return true;
  }

  /** A second went by. */
  tick(): void {
    if (this.#telling || this.#pages.size === 0) return;
    this.#telling = true;
    this.#tell()
      .catch((error: unknown) => {
        // What cannot be asked just now, such as an export that is being closed, is asked again in a second.
        if (!(error instanceof DiskswarmError)) this.#options.onDefect(error);
      })
      .finally(() => {
        this.#telling = false;
      });
  }

  async #tell(): Promise<void> {
    const state = await this.#options.snapshot();
    const sample = this.#options.history.samples.at(-1) ?? null;
    for (const page of this.#pages) send(page, 'state', { ...state, sample });
  }
}

function send(response: ServerResponse, event: string, data: object): void {
  if (response.writableLength > MAX_UNREAD_PAGE_BYTES) return;
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
