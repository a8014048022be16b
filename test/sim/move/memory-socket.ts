/** The two ends of a machine's memory as a modelled QEMU sees them: the socket it writes to, and what arrives at the other. */
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import type { MoveHost } from './move-host.ts';
import type { GuestMemory } from './numbered-guest.ts';

/** Opens the stream of a connection, as the agent's outlet does. */
export type OpenStream = (channel: number, handlers: StreamHandlers) => PeerStream;

export class OutletSocket {
  readonly #stream: PeerStream;
  #closed = false;
  #drained = Promise.withResolvers<void>();

  /** Throws what `open` throws. */
  constructor(open: OpenStream, channel: number) {
    this.#stream = open(channel, {
      onData: () => {},
      onDrain: () => this.#drained.resolve(),
      onEnd: () => {},
      onClose: () => this.cut(),
    });
  }

  /** Resolves when more may be written. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    this.#drained = Promise.withResolvers();
    if (!this.#stream.write(bytes)) await this.#drained.promise;
    this.#assertOpen();
  }

  end(): void {
    if (!this.#closed) this.#stream.end();
    this.#closed = true;
  }

  /** QEMU closes it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.destroy();
  }

  /** The other side is gone. */
  cut(): void {
    this.#closed = true;
    this.#drained.resolve();
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('Unable to write to socket: Broken pipe');
  }
}

export class IncomingMemory {
  readonly handlers: StreamHandlers;
  /** Null where it was cut off. */
  readonly whole: Promise<GuestMemory | null>;

  constructor({ world, machine, deathOf }: MoveHost, stream: PeerStream) {
    const whole = Promise.withResolvers<GuestMemory | null>();
    this.whole = whole.promise;
    let text = '';
    this.handlers = {
      onData: (bytes) => {
        text += Buffer.from(bytes).toString('utf8').replaceAll('\0', '');
        if (text.endsWith('\n')) world.later(0.05, () => whole.resolve(JSON.parse(text) as GuestMemory));
      },
      onDrain: () => {},
      onEnd: () => stream.end(),
      onClose: () => world.later(0.05, () => whole.resolve(null)),
    };
    void deathOf(machine.incarnation).then(() => whole.resolve(null));
  }
}
