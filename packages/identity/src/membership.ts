/**
 * The next roster: the first one of a disk, a grant, a revocation, a join token made or taken back. Pure; signing needs the owner's key.
 *
 * Hosts that came by a token since the last signature become members like others, and their uses are counted for good.
 * A revocation replaces the swarm secret, so a revoked host can no longer find the swarm. A host that may have written
 * keeps its role of writer for good, because its generations are checked against the roster long after.
 */
import { DiskswarmError, type HostId, type Random, type TokenId } from '@diskswarm/core';
import type { Genesis } from './genesis.ts';
import { MAX_TOKENS } from './limits.ts';
import type { Owner } from './owner.ts';
import { createRoster, type Member, memberOf, type Position, type Role, type Roster } from './roster.ts';
import type { RosterToken } from './roster-token.ts';
import { createSwarmSecret, type SwarmSecret } from './swarm-secret.ts';

/** A roster together with the secret it wraps. */
export interface RosterChange {
  readonly roster: Roster;
  readonly secret: SwarmSecret;
}

/** Roster 1 of a new disk: the importing host is its only member, a writer. */
export function firstRoster(genesis: Genesis, host: HostId, owner: Owner, random: Random): RosterChange {
  const secret = createSwarmSecret(random);
  return {
    roster: createRoster({ genesis, sequence: 1, members: [{ host, role: 'writer' }], secret }, owner, random),
    secret,
  };
}

/** Lists `host` with `role`, again if it was revoked; the secret stays. INVALID_ARGUMENT when a writer would be demoted. */
export function grantMember(
  change: { genesis: Genesis; roster: Roster; secret: SwarmSecret; host: HostId; role: Role },
  owner: Owner,
  random: Random,
): RosterChange {
  const { genesis, roster, secret, host, role } = change;
  if (memberOf(roster, host)?.role === 'writer' && role !== 'writer') {
    throw new DiskswarmError('INVALID_ARGUMENT', 'a writer cannot become a reader or keeper: revoke the host instead', {
      data: { host },
    });
  }
  const members = [...roster.members.filter((member) => member.host !== host), { host, role }];
  return { roster: successor(roster, { genesis, members, secret }, owner, random), secret };
}

/**
 * Revokes `host` after `after`, the newest generation of the disk that still counts, and replaces the secret.
 * INVALID_ARGUMENT when the host is not listed or already revoked.
 */
export function revokeMember(
  change: { genesis: Genesis; roster: Roster; host: HostId; after: Position },
  owner: Owner,
  random: Random,
): RosterChange {
  const { genesis, roster, host, after } = change;
  const member = memberOf(roster, host);
  if (member === null || member.revoked) {
    throw new DiskswarmError('INVALID_ARGUMENT', 'this host has no access that could be revoked', { data: { host } });
  }
  const secret = createSwarmSecret(random);
  const members = roster.members.map((entry): Member => (entry.host === host ? { ...entry, revoked: after } : entry));
  return { roster: successor(roster, { genesis, members, secret }, owner, random), secret };
}

/** Lists one more token, `token`; void ones make room for it. LIMIT_EXCEEDED with 16 that are not. */
export function grantToken(
  change: { genesis: Genesis; roster: Roster; secret: SwarmSecret; token: RosterToken; nowMs: number },
  owner: Owner,
  random: Random,
): RosterChange {
  const { genesis, roster, secret, token, nowMs } = change;
  const tokens = [...tokensNow(roster), token];
  while (tokens.length > MAX_TOKENS) {
    const over = tokens.findIndex(
      ({ revoked, used, uses, expiresMs }) => revoked || used === uses || expiresMs <= nowMs,
    );
    if (over < 0)
      throw new DiskswarmError('LIMIT_EXCEEDED', `a disk has at most ${MAX_TOKENS} tokens: revoke one first`, {
        data: { limit: MAX_TOKENS },
      });
    tokens.splice(over, 1);
  }
  const { members } = roster;
  return { roster: successor(roster, { genesis, members, secret, tokens }, owner, random), secret };
}

/** Takes a token back; who came by it stays. INVALID_ARGUMENT when the roster lists no such token that counts. */
export function revokeToken(
  change: { genesis: Genesis; roster: Roster; secret: SwarmSecret; id: TokenId },
  owner: Owner,
  random: Random,
): RosterChange {
  const { genesis, roster, secret, id } = change;
  const tokens = tokensNow(roster);
  if (!tokens.some((token) => token.id === id && !token.revoked))
    throw new DiskswarmError('INVALID_ARGUMENT', `the disk has no token ${id} that could be revoked`, { data: { id } });
  const revoked = tokens.map((token) => (token.id === id ? { ...token, revoked: true } : token));
  const { members } = roster;
  return { roster: successor(roster, { genesis, members, secret, tokens: revoked }, owner, random), secret };
}

function successor(
  roster: Roster,
  content: { genesis: Genesis; members: readonly Member[]; secret: SwarmSecret; tokens?: readonly RosterToken[] },
  owner: Owner,
  random: Random,
): Roster {
  return createRoster({ tokens: tokensNow(roster), ...content, sequence: roster.sequence + 1 }, owner, random);
}

/** The tokens with the uses that the roster's admissions show. */
function tokensNow({ tokens, admissions }: Roster): RosterToken[] {
  return tokens.map((token) => {
    const seen = admissions.filter(({ id }) => id === token.id).map(({ use }) => use);
    return { ...token, used: Math.max(token.used, ...seen) };
  });
}
