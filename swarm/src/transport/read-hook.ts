/**
 * Reads a dialled socket into one array that all of them share, instead of a fresh one for each read.
 *
 * Arrays of Node's own for every 16 KiB of TLS make the garbage collector the dearest part of receiving. What arrives is
 * handed on within the read's callback, so sharing is safe; Node offers this only to sockets that dial.
 */
import type { OnReadOpts, Socket } from 'node:net';

const shared = Buffer.allocUnsafeSlow(64 * 1024);

export class ReadHook {
  #receive: ((bytes: Uint8Array) => void) | null = null;
  #held: Uint8Array | null = null;

  /** For the socket's options. */
  readonly onread: OnReadOpts = {
    buffer: shared,
    callback: (lengthBytes, bytes) => {
      const view = bytes.subarray(0, lengthBytes);
      if (this.#receive !== null) {
        this.#receive(view);
        return true;
      }
      // Nobody listens yet: keep this one and read no further.
      this.#held = this.#held === null ? view.slice() : Buffer.concat([this.#held, view]);
      return false;
    },
  };

  /** The first `count` bytes, before `begin`. */
  take(socket: Socket, count: number): Promise<Uint8Array> {
    return new Promise((resolve) => {
      let taken: Uint8Array = new Uint8Array(0);
      this.#receive = (bytes) => {
        taken = Buffer.concat([taken, bytes]);
        if (taken.length < count) return;
        this.#receive = null;
        this.#held = taken.length > count ? taken.slice(count) : null;
        if (this.#held !== null) socket.pause();
        resolve(taken.slice(0, count));
      };
    });
  }

  /** Delivers from now on; the view is valid during the call. */
  begin(socket: Socket, receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
    const held = this.#held;
    this.#held = null;
    if (held !== null) {
      setImmediate(() => {
        receive(held);
        socket.resume();
      });
    } else {
      socket.resume();
    }
  }
}
