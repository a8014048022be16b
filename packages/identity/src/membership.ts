/**
 * The next roster: the first one of a disk, a grant, a revocation. Pure; signing needs the owner's key.
 *
 * A revocation replaces the swarm secret, so a revoked host can no longer find the swarm. A host that may have written
 * keeps its role of writer for good, because its generations are checked against the roster long after.
 */
import { DiskswarmError, type HostId, type Random } from '@diskswarm/core';
import type { Genesis } from './genesis.ts';
import type { Owner } from './owner.ts';
import { createRoster, type Member, memberOf, type Position, type Role, type Roster } from './roster.ts';
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
  return { roster: createRoster({ genesis, sequence: roster.sequence + 1, members, secret }, owner, random), secret };
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
  const members = roster.members.map(
    (entry): Member => (entry.host === host ? { host, role: entry.role, revoked: after } : entry),
  );
  return { roster: createRoster({ genesis, sequence: roster.sequence + 1, members, secret }, owner, random), secret };
}
