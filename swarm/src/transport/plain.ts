/**
 * The Transport over plain TCP, for one purpose: a benchmark's own unencrypted wire to compare the encrypted one with.
 *
 * Both ends send 16 random bytes first and bind to the hash of both, which keeps the proofs' form but, for want of
 * encryption, none of their worth: the agent never uses this.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { blake3 } from '@diskswarm/core';
import { SocketConnection } from './socket-connection.ts';
import { SocketTransport } from './socket-transport.ts';

const NONCE_BYTES = 16;

/** A transport without encryption. */
export function createPlainTransport(): SocketTransport {
  return new SocketTransport(async (socket, initiator) => {
    const mine = randomBytes(NONCE_BYTES);
    socket.write(mine);
    const theirs = await readExactly(socket, NONCE_BYTES);
    const both = initiator ? [mine, theirs] : [theirs, mine];
    return new SocketConnection(socket, { initiator, binding: blake3(Buffer.concat(both)) });
  });
}

function readExactly(socket: Socket, count: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const read = (): void => {
      const bytes = socket.read(count) as Uint8Array | null;
      if (bytes === null) return;
      socket.off('readable', read);
      resolve(bytes);
    };
    socket.on('readable', read);
    read();
  });
}
