/** What a user is shown of a disk's roster: its hosts, by which token they came, and what is left of the tokens. */
import type { Roster, RosterToken } from '@diskswarm/identity';
import type { ControlResult, TokenInfo } from '../control/methods.ts';

export function rosterInfo(roster: Roster, nowMs: number): ControlResult<'disk.members'> {
  return {
    rosterSequence: roster.sequence,
    members: roster.members.map(({ host, role, revoked, token }) => ({
      hostId: host,
      role,
      revoked: revoked !== undefined,
      token: token?.id ?? null,
      use: token?.use ?? null,
    })),
    tokens: roster.tokens.map((token) => tokenInfo(token, roster, nowMs)),
  };
}

function tokenInfo(
  { id, role, uses, used, expiresMs, revoked, redeemer }: RosterToken,
  roster: Roster,
  nowMs: number,
): TokenInfo {
  const taken = Math.max(used, ...roster.admissions.filter((each) => each.id === id).map(({ use }) => use));
  const state = revoked ? 'revoked' : taken >= uses ? 'used-up' : nowMs >= expiresMs ? 'expired' : 'open';
  return {
    token: id,
    role,
    uses,
    used: taken,
    expires: new Date(expiresMs).toISOString(),
    state,
    redeemerHostId: redeemer,
  };
}
