/**
 * @module nbd
 * An NBD server's side of a connection as a state machine over bytes: fixed newstyle handshake, structured and simple replies,
 * block status, and a path for cached reads and plain writes that makes no promise and no copy.
 *
 * @example
 * const session = new NbdSession({ directory, output, onDefect: (error) => log.error(error) });
 * session.start();
 * onBytes((bytes) => { if (!session.push(bytes)) useAnotherInputBuffer(); });
 */
export * from './constants.ts';
export * from './limits.ts';
export * from './ports.ts';
export { NO_REQUESTS, RequestCounter, type RequestCounts } from './request-counter.ts';
export { NbdSession, type NbdSessionOptions } from './session.ts';
