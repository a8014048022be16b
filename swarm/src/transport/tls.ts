/**
 * The Transport over TLS 1.3 on TCP: encryption only.
 *
 * Certificates are thrown away with the process and never checked, sessions are never resumed, no early data: who the
 * other side is gets proven inside, over `binding`, which both ends export from the handshake (RFC 8446 7.5) and which
 * therefore differs for every connection and on both sides of anybody in the middle.
 */
import { constants } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { Address, Connection } from '@diskswarm/core';
import { createThrowAwayCertificate } from './certificate.ts';
import { SocketConnection } from './socket-connection.ts';
import { SocketTransport } from './socket-transport.ts';

const BINDING_BYTES = 32;
const BINDING_LABEL = 'EXPORTER-diskswarm-lane';

/** A transport with a certificate of its own; one per agent run. */
export function createTlsTransport(): SocketTransport {
  const secureContext = createContext();
  return new SocketTransport({
    open: (options) => connect({ ...options, secureContext, servername: '', rejectUnauthorized: false }),
    handshake: async (socket, reads) => {
      const secure =
        socket instanceof TLSSocket
          ? socket
          : new TLSSocket(socket, { isServer: true, secureContext, requestCert: false });
      await handshakeOf(secure, reads !== undefined);
      const common = { initiator: reads !== undefined, binding: bindingOf(secure) };
      return new SocketConnection(secure, reads === undefined ? common : { ...common, reads });
    },
  });
}

/** TLS over a stream that is there already; the connection says that its other end is at `remoteAddress`. */
export type TlsOver = (stream: Duplex, initiator: boolean, remoteAddress: Address) => Promise<Connection>;

/** With a certificate of its own, as the transport's. */
export function createTlsOver(): TlsOver {
  const secureContext = createContext();
  return async (stream, initiator, remoteAddress) => {
    const secure = initiator
      ? connect({ socket: stream, secureContext, servername: '', rejectUnauthorized: false })
      : new TLSSocket(stream, { isServer: true, secureContext, requestCert: false });
    await handshakeOf(secure, initiator);
    return new SocketConnection(secure, { initiator, binding: bindingOf(secure), remoteAddress });
  };
}

function createContext(): SecureContext {
  return createSecureContext({
    ...createThrowAwayCertificate(),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

function bindingOf(secure: TLSSocket): Uint8Array {
  return new Uint8Array(secure.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0)));
}

function handshakeOf(secure: TLSSocket, initiator: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const finished = (): void => {
      secure.off('error', reject);
      resolve();
    };
    secure.once(initiator ? 'secureConnect' : 'secure', finished);
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('the connection closed during the TLS handshake')));
  });
}
