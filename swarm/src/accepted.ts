/** What becomes of accepted connections: where their host listens, and how one that is not wanted ends. */
import { type Address, type Connection, type ConnectionHandlers, formatAddress, parseAddress } from '@diskswarm/core';

/** The lane is not wanted: nothing is said, the connection ends. */
export function refused(connection: Connection): ConnectionHandlers {
  connection.close();
  return { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };
}

/** Where a host that connected from `remote` accepts connections. */
export function listenAddress(remote: Address, port: number): Address {
  return port === 0 ? remote : formatAddress(parseAddress(remote).host, port);
}
