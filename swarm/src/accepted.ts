/** What becomes of accepted connections: where their host listens, and how one that is not wanted ends. */
import { type Address, type Connection, type ConnectionHandlers, formatAddress, parseAddress } from '@diskswarm/core';
import { dhtKeyOf } from './discovery/dht-address.ts';
import { relayedHostOf } from './relay/relay-address.ts';

/** The lane is not wanted: nothing is said, the connection ends. */
export function refused(connection: Connection): ConnectionHandlers {
  connection.close();
  return { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };
}

/** Where a host that connected from `remote` accepts connections; in the DHT its key is dialled, through other hosts its id. */
export function listenAddress(remote: Address, port: number): Address {
  const named = dhtKeyOf(remote) !== null || relayedHostOf(remote) !== null;
  return port === 0 || named ? remote : formatAddress(parseAddress(remote).host, port);
}
