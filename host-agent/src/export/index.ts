/**
 * Exports over NBD: the socket side. Import from here inside the agent; the protocol is `@diskswarm/nbd`.
 */
export { MAX_CLIENTS_PER_EXPORT, type NbdServer, startNbdServer } from './nbd-server.ts';
