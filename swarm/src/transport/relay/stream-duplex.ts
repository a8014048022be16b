/**
 * A stream of a session as a Node stream, so that TLS can run over it.
 *
 * Back-pressure passes both ways: a write is done when the session's stream took it, and a reader that falls behind gives the
 * other side no more credit. Which end this is does not matter.
 */
import { Duplex } from 'node:stream';
import type { PeerStream, StreamHandlers } from '../../streams.ts';

export class StreamDuplex extends Duplex {
  readonly #stream: PeerStream;
  #written: (() => void) | null = null;

  constructor(stream: PeerStream) {
    super();
    this.#stream = stream;
  }

  /** What the session's stream is to call. */
  get handlers(): StreamHandlers {
    return {
      onData: (bytes) => {
        // A copy: the view is used again.
        if (!this.push(Buffer.from(bytes))) this.#stream.pause();
      },
      onDrain: () => this.#drained(),
      onEnd: () => this.push(null),
      onClose: (error) => this.destroy(error),
    };
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    if (this.#stream.write(bytes)) done();
    else this.#written = done;
  }

  override _final(done: () => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.destroy();
    this.#drained();
    done(error);
  }

  #drained(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
  }
}
