/** Streams between hosts in memory, as sessions have them: bounded, in order, ended and cut from either side. */
import type { HostId } from '@diskswarm/core';
import type { RelayView } from '../../src/index.ts';
import type { PeerStream, StreamAcceptor, StreamHandlers } from '../../src/streams.ts';

const WINDOW_BYTES = 64 * 1024;

/** One end of a stream. */
export class MemoryStream implements PeerStream {
  readonly host: HostId;
  readonly label: string;
  handlers: StreamHandlers | null = null;
  other: MemoryStream | null = null;
  sentBytes = 0;
  receivedBytes = 0;
  /** What waits for the other side. */
  waitingBytes = 0;
  paused = false;
  over = false;
  readonly #waiting: (Uint8Array | null)[] = [];
  #scheduled = false;
  #ended = 0;

  constructor(host: HostId, label: string) {
    this.host = host;
    this.label = label;
  }

  write(bytes: Uint8Array): boolean {
    if (this.over) return true;
    this.#waiting.push(bytes.slice());
    this.waitingBytes += bytes.length;
    this.sentBytes += bytes.length;
    this.#schedule();
    return this.waitingBytes < WINDOW_BYTES;
  }

  end(): void {
    if (this.over) return;
    this.#waiting.push(null);
    this.#schedule();
  }

  destroy(): void {
    for (const end of [this, this.other]) end?.closed();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.other?.schedule();
  }

  closed(): void {
    if (this.over) return;
    this.over = true;
    this.handlers?.onClose();
  }

  schedule(): void {
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const { other } = this;
    while (!this.over && other !== null && !other.over && !other.paused && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      if (next === null) {
        other.handlers?.onEnd();
        this.#ended += 1;
        continue;
      }
      this.waitingBytes -= next.length;
      other.receivedBytes += next.length;
      other.handlers?.onData(next);
      if (this.waitingBytes === 0) this.handlers?.onDrain();
    }
  }
}

/** Hosts, who is connected to whom and how, and which of them one roster has. */
export class MemoryWorld {
  readonly acceptors = new Map<HostId, StreamAcceptor>();
  /** Pairs with a session: the address by which the one sees the other. */
  readonly #sessions = new Map<HostId, Map<HostId, string>>();
  readonly members = new Set<HostId>();
  readonly opened: { from: HostId; to: HostId; label: string; stream: MemoryStream }[] = [];

  connect(one: HostId, other: HostId, address = '10.0.0.1:7000'): void {
    for (const [left, right] of [
      [one, other],
      [other, one],
    ] as const)
      this.#sessions.set(left, (this.#sessions.get(left) ?? new Map()).set(right, address));
  }

  view(self: HostId): RelayView {
    return {
      peers: () =>
        [...(this.#sessions.get(self) ?? [])].map(([host, address]) => ({ host, address, rttUs: Number(host[0]) })),
      openStream: (host, label, handlers) => this.open(self, host, label, handlers),
      admitsBoth: (one, other) => this.members.has(one) && this.members.has(other),
    };
  }

  open(from: HostId, to: HostId, label: string, handlers: (stream: PeerStream) => StreamHandlers): PeerStream {
    const [near, far] = [new MemoryStream(to, label), new MemoryStream(from, label)];
    near.other = far;
    far.other = near;
    near.handlers = handlers(near);
    this.opened.push({ from, to, label, stream: near });
    setImmediate(() => {
      far.handlers = this.acceptors.get(to)?.(far) ?? null;
      if (far.handlers === null) far.destroy();
    });
    return near;
  }
}
