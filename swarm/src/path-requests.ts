/**
 * Our requests for manifest pages that wait for an answer of one peer.
 *
 * Numbers ascend and every request is answered once; one that was given up keeps its place until its answer comes, so the
 * peer is never asked for more than it has to keep.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_OWN_PATHS } from './limits.ts';

interface Waiting {
  settle(pages: readonly Uint8Array[] | null): void;
  fail(error: DiskswarmError): void;
}

export class PathRequests {
  readonly #waiting = new Map<number, Waiting | null>();
  #next = 0;

  /** Sends with a fresh number and waits; null when the peer lacks a page. LIMIT_EXCEEDED, ABORTED, PEER_UNREACHABLE. */
  ask(send: (request: number) => void, signal: AbortSignal | undefined): Promise<readonly Uint8Array[] | null> {
    if (signal?.aborted) return Promise.reject(new DiskswarmError('ABORTED', 'the page request was given up'));
    if (this.#waiting.size >= MAX_OWN_PATHS) {
      return Promise.reject(new DiskswarmError('LIMIT_EXCEEDED', 'too many page requests wait for this peer'));
    }
    const request = this.#next++;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.set(request, null);
        reject(new DiskswarmError('ABORTED', 'the page request was given up'));
      };
      const done = (): void => signal?.removeEventListener('abort', onAbort);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(request, {
        settle: (pages) => {
          done();
          resolve(pages);
        },
        fail: (error) => {
          done();
          reject(error);
        },
      });
      send(request);
    });
  }

  /** An answer came; throws PROTOCOL_ERROR when nothing like it was asked. */
  answered(request: number, pages: readonly Uint8Array[]): void {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) throw new DiskswarmError('PROTOCOL_ERROR', 'pages that nobody asked for');
    this.#waiting.delete(request);
    waiting?.settle(pages.length === 0 ? null : pages);
  }

  /** No answer will come. */
  close(): void {
    for (const waiting of this.#waiting.values()) {
      waiting?.fail(new DiskswarmError('PEER_UNREACHABLE', 'the peer is gone'));
    }
    this.#waiting.clear();
  }
}
