/**
 * The Transport over TLS 1.3 on TCP: encryption only.
 *
 * Certificates are thrown away with the process and never checked, sessions are never resumed, no early data: who the
 * other side is gets proven inside, over `binding`, which both ends export from the handshake (RFC 8446 7.5) and which
 * therefore differs for every connection and on both sides of anybody in the middle.
 */
import { constants } from 'node:crypto';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { createThrowAwayCertificate } from './certificate.ts';
import { SocketConnection } from './socket-connection.ts';
import { SocketTransport } from './socket-transport.ts';

const BINDING_BYTES = 32;
const BINDING_LABEL = 'EXPORTER-diskswarm-lane';

/** A transport with a certificate of its own; one per agent run. */
export function createTlsTransport(): SocketTransport {
  const secureContext = createSecureContext({
    ...createThrowAwayCertificate(),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  return new SocketTransport({
    open: (options) => connect({ ...options, secureContext, servername: '', rejectUnauthorized: false }),
    handshake: async (socket, reads) => {
      const secure =
        socket instanceof TLSSocket
          ? socket
          : new TLSSocket(socket, { isServer: true, secureContext, requestCert: false });
      await handshakeOf(secure, reads !== undefined);
      const binding = secure.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0));
      const common = { initiator: reads !== undefined, binding: new Uint8Array(binding) };
      return new SocketConnection(secure, reads === undefined ? common : { ...common, reads });
    },
  });
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
