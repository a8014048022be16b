/**
 * The Transport over plain TCP, for one purpose: a benchmark's own unencrypted wire to compare the encrypted one with.
 *
 * Both ends send 16 random bytes first and bind to the hash of both, which keeps the proofs' form but, for want of
 * encryption, none of their worth: the agent never uses this.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { blake3 } from '@diskswarm/core';
import type { ReadHook } from './read-hook.ts';
import { SocketConnection } from './socket-connection.ts';
import { SocketTransport } from './socket-transport.ts';

const NONCE_BYTES = 16;

/** A transport without encryption. */
export function createPlainTransport(): SocketTransport {
  return new SocketTransport({
    open: (options) => connect(options),
    handshake: async (socket, reads) => {
      const initiator = reads !== undefined;
      const mine = randomBytes(NONCE_BYTES);
      socket.write(mine);
      const theirs = await readNonce(socket, reads);
      const binding = blake3(Buffer.concat(initiator ? [mine, theirs] : [theirs, mine]));
      return new SocketConnection(socket, reads === undefined ? { initiator, binding } : { initiator, binding, reads });
    },
  });
}

function readNonce(socket: Socket, reads: ReadHook | undefined): Promise<Uint8Array> {
  if (reads !== undefined) return reads.take(socket, NONCE_BYTES);
  return new Promise((resolve) => {
    const read = (): void => {
      const bytes = socket.read(NONCE_BYTES) as Uint8Array | null;
      if (bytes === null) return;
      socket.off('readable', read);
      resolve(bytes);
    };
    socket.on('readable', read);
    read();
  });
}
