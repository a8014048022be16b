/**
 * Exports over NBD: the socket side. Import from here inside the agent; the protocol is `@diskswarm/nbd`.
 */
export {
  type ExportConnection,
  MAX_CLIENTS_PER_EXPORT,
  MAX_EXPORTS,
  MAX_HANDSHAKES,
  type NbdServer,
  type NbdServerOptions,
  startNbdServer,
} from './nbd-server.ts';
