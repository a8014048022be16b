/**
 * Over what a chunk comes from another host, as an operator tells ways apart: by the address of the connection alone.
 *
 * Four kinds whatever there is, so that metrics stay bounded. Nothing is decided by it: whom to ask is the scheduler's.
 */
import type { Address } from '@diskswarm/core';

/** A private network, any other address, a hole punched through NATs, or another host in between. */
export type SourceKind = 'lan' | 'wan' | 'dht' | 'relay';

export const SOURCE_KINDS: readonly SourceKind[] = ['lan', 'wan', 'dht', 'relay'];

/** Of IPv4, also where it is written as IPv6. */
const QUAD = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/;
const PRIVATE_QUAD = /^(?:127|10|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\./;
/** Loopback, link-local and unique local addresses of IPv6. */
const PRIVATE_SIX = /^(?:::1|(?:fe[89ab]|f[cd][0-9a-f])[0-9a-f]:[0-9a-f:%a-z]*)$/;

/** The kind of a connection; `wan` where it is gone already. Whatever the address is, counting by it never fails. */
export function sourceKindOf(address: Address | null): SourceKind {
  if (address === null) return 'wan';
  const host = address
    .slice(0, address.lastIndexOf(':'))
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  if (host.endsWith('.relay')) return 'relay';
  if (host.endsWith('.dht')) return 'dht';
  const quad = QUAD.exec(host)?.[1];
  return (quad === undefined ? PRIVATE_SIX.test(host) : PRIVATE_QUAD.test(quad)) ? 'lan' : 'wan';
}
