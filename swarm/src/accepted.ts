/** What becomes of accepted connections: where their host listens, and how one that is not wanted ends. */
import { type Address, type Connection, type ConnectionHandlers, formatAddress, parseAddress } from '@diskswarm/core';
import { dhtKeyOf } from './discovery/dht-address.ts';

/** The lane is not wanted: nothing is said, the connection ends. */
export function refused(connection: Connection): ConnectionHandlers {
  connection.close();
  return { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };
}

/** Where a host that connected from `remote` accepts connections; in the DHT it is its key that is dialled. */
export function listenAddress(remote: Address, port: number): Address {
  return port === 0 || dhtKeyOf(remote) !== null ? remote : formatAddress(parseAddress(remote).host, port);
}
