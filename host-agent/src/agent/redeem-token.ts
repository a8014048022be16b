/**
 * A newcomer's side of a join token: finds the host that redeems it, and brings home the records of the disk.
 *
 * The addresses of the line are tried at once, and the first host that answers decides. What it sends is checked like what any
 * other host sends when the disk is made of it. Nothing is kept here: who got no answer asks again.
 */
import { type Clock, DiskswarmError, type Random, type Transport } from '@diskswarm/core';
import type { HostKeys, JoinToken } from '@diskswarm/identity';
import { redeemAt } from '@diskswarm/swarm';
import type { InitialRecords } from './disk-records.ts';
import type { TokenRefusal } from './token-desk.ts';

const REFUSALS: { readonly [Reason in TokenRefusal]: string } = {
  'used-up': 'all its uses are taken',
  expired: 'it has expired',
  revoked: "it was taken back by the disk's owner",
  'host-revoked': 'this host was revoked from the disk',
  full: 'the roster has no room for more hosts; the owner makes some with any `disk grant`',
};

/** What the redeeming host lets this one have; TOKEN_REFUSED with a `TokenRefusal` in `data.reason`, PEER_UNREACHABLE. */
export async function redeemToken(
  line: JoinToken,
  own: { transport: Transport; clock: Clock; random: Random; keys: HostKeys },
): Promise<InitialRecords> {
  const token = { disk: line.genesis.disk, secret: line.secret, redeemer: line.redeemer };
  const asked = line.addresses.map((address) => redeemAt(address, own, token));
  const answer = await Promise.any(asked).catch((cause: unknown) => {
    throw new DiskswarmError(
      'PEER_UNREACHABLE',
      `no host at ${line.addresses.join(', ') || 'no address'} lets hosts in by this token: start the agent of the host that made it, or ask for a new token`,
      { data: { addresses: line.addresses }, cause },
    );
  });
  if (!('refused' in answer)) return { ...answer, genesis: line.genesis.bytes };
  const reason = answer.refused as TokenRefusal;
  throw new DiskswarmError('TOKEN_REFUSED', `the token lets this host in no more: ${REFUSALS[reason] ?? reason}`, {
    data: { reason },
  });
}
