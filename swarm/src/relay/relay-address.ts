/**
 * The address of a host that is reached through another one: its id, written as a host name that no resolver knows.
 *
 * It fits wherever `HOST:PORT` does. Which host is gone through is decided anew at each dial (relay.ts).
 */
import { type Address, type HostId, hasCode, parseAddress } from '@diskswarm/core';
import { parseHostId } from '@diskswarm/identity';

const SUFFIX = '.relay';

/** The address of `host` by way of any other one. */
export function relayAddressOf(host: HostId): Address {
  return `${host}${SUFFIX}:1`;
}

/** The host in an address; null when it is not one of this kind. */
export function relayedHostOf(address: Address): HostId | null {
  const { host } = parseAddress(address);
  if (!host.endsWith(SUFFIX)) return null;
  try {
    return parseHostId(host.slice(0, -SUFFIX.length));
  } catch (error) {
    if (hasCode(error, 'INVALID_ID')) return null;
    throw error;
  }
}
