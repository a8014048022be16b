/**
 * The address of a host in the DHT: its throw-away key, written as a host name that no resolver knows.
 *
 * It fits wherever `HOST:PORT` does, lasts as long as the run of the agent that made the key, and says nothing about which host it
 * is. Dialling one is the DHT transport's.
 */
import { type Address, fromHex, parseAddress, toHex } from '@diskswarm/core';

/** Bytes of a key. */
const DHT_KEY_BYTES = 32;

const PATTERN = new RegExp(`^([0-9a-f]{${2 * DHT_KEY_BYTES}})\\.dht$`);

/** The address of the host with this key. */
export function dhtAddressOf(publicKey: Uint8Array): Address {
  return `${toHex(publicKey)}.dht:1`;
}

/** The key in an address; null when it is not one of the DHT. */
export function dhtKeyOf(address: Address): Uint8Array | null {
  const match = PATTERN.exec(parseAddress(address).host);
  return match === null ? null : fromHex(match[1]!);
}
