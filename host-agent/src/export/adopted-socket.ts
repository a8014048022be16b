/**
 * An accepted socket that reads into one array of ours again and again.
 *
 * net.Server makes sockets that allocate for every read; only the Socket constructor takes `onread`. So the handle moves from
 * the accepted socket to one made here, and the accepted one, now empty, is destroyed to keep the server's count right.
 * `_handle` is the one private name this relies on, and this file the only one that uses it.
 */
import assert from 'node:assert';
import net from 'node:net';

/** Reading as net.Socket's `onread` does it. */
export interface ReadHooks {
  /** The array for the next read; undefined keeps the present one. Must return an array the first time. */
  buffer(): Uint8Array | undefined;
  /** The first `lengthBytes` of the array were filled; false pauses reading until `socket.resume()`. */
  read(lengthBytes: number, array: Uint8Array): boolean;
}

interface WithHandle {
  _handle: object | null;
}

/** Takes the connection over from `accepted`, which must come from a server with `pauseOnConnect`, and begins to read. */
export function adoptSocket(accepted: net.Socket, hooks: ReadHooks): net.Socket {
  const husk = accepted as unknown as WithHandle;
  const handle = husk._handle;
  assert(handle !== null && handle !== undefined, 'an accepted socket has a handle');
  husk._handle = null;
  accepted.destroy();
  return new net.Socket({
    handle,
    allowHalfOpen: true,
    readable: true,
    writable: true,
    // One byte, so that every write which the kernel did not take at once is followed by `drain`.
    writableHighWaterMark: 1,
    onread: {
      buffer: () => hooks.buffer() as Buffer,
      callback: (lengthBytes: number, array: Uint8Array) => hooks.read(lengthBytes, array),
    },
  } as net.SocketConstructorOpts);
}
