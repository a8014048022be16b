/**
 * The roster of a disk: which hosts may do what, signed by the owner, with the swarm secret wrapped for each of them.
 *
 * Order is by sequence number and never by a clock. A revoked host stays listed, with the last generation of it that counts.
 * Hosts that came by a token after the owner signed are added in admitted-roster.ts. Making the next roster is in membership.ts;
 * persisting the highest one seen is left to the host agent.
 */
import {
  blake3,
  type Canonical,
  type Decoded,
  type DiskId,
  DiskswarmError,
  fromHex,
  type HostId,
  idFromBytes,
  idToBytes,
  type Random,
  RecordReader,
  type TokenId,
} from '@diskswarm/core';
import type { Admission } from './admission.ts';
import type { Genesis } from './genesis.ts';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostToBytes } from './host-keys.ts';
import { MAX_EPOCH, MAX_MEMBERS, MAX_ROSTER_BYTES, MAX_SEQUENCE, MAX_TOKEN_USES } from './limits.ts';
import type { Owner } from './owner.ts';
import { equalBytes, KEY_BYTES } from './primitives.ts';
import { decodeTokens, encodeToken, type RosterToken, TOKEN_ID_BYTES, tokenIdFromBytes } from './roster-token.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import { BOX_BYTES, type SwarmSecret, secretIdOf, unwrapSecret, wrapSecret } from './swarm-secret.ts';

/** Readers fetch and serve; writers may own an epoch; keepers fetch, serve and pin, and only the owner releases them. */
export type Role = 'reader' | 'writer' | 'keeper';
const ROLES: readonly Role[] = ['reader', 'writer', 'keeper'];

/** The order of generations: epoch first. */
export interface Position {
  readonly epoch: number;
  readonly sequence: number;
}

/** A host as the owner lists it. */
export interface Member {
  readonly host: HostId;
  readonly role: Role;
  /** Present once revoked: generations of this host after it do not count, and it holds no current secret. */
  readonly revoked?: Position;
  /** The token that let it in, and which of its uses that was. */
  readonly token?: TokenUse;
}

/** One use of a join token, counted from 1. */
export interface TokenUse {
  readonly id: TokenId;
  readonly use: number;
}

/** A verified roster. */
export interface Roster {
  readonly disk: DiskId;
  /** From 1; every change adds one. */
  readonly sequence: number;
  readonly members: readonly Member[];
  /** Names the current swarm secret. */
  readonly secretId: Uint8Array;
  /** The wrapped secret of each member that is not revoked. */
  readonly boxes: ReadonlyMap<HostId, Uint8Array>;
  /** Tokens by which hosts may come, void ones included, the oldest first. */
  readonly tokens: readonly RosterToken[];
  /** The hosts among `members` that came by a token since the owner signed, by token and use. */
  readonly admissions: readonly Admission[];
  /** The record that the owner signed. */
  readonly signed: Uint8Array;
  /** Canonical bytes: what hosts keep and send. The signed record, with the admissions where there are some. */
  readonly bytes: Uint8Array;
}

/** Signs a roster and wraps `secret` for every member that is not revoked. LIMIT_EXCEEDED above 1024 members. */
export function createRoster(
  content: {
    genesis: Genesis;
    sequence: number;
    members: readonly Member[];
    secret: SwarmSecret;
    tokens?: readonly RosterToken[];
  },
  owner: Owner,
  random: Random,
): Roster {
  const { genesis, sequence, members, secret, tokens = [] } = content;
  if (members.length > MAX_MEMBERS) {
    throw new DiskswarmError('LIMIT_EXCEEDED', `a roster has at most ${MAX_MEMBERS} hosts`, {
      data: { limit: MAX_MEMBERS },
    });
  }
  const sorted = members.toSorted((left, right) => (left.host < right.host ? -1 : 1));
  const { bytes } = sealRecord(
    'roster',
    {
      kind: 'roster',
      disk: idToBytes(genesis.disk),
      sequence,
      secret: secretIdOf(secret),
      members: sorted.map((member) =>
        encodeMember(member, () => wrapSecret(secret, member.host, genesis.disk, random)),
      ),
      ...(tokens.length > 0 ? { tokens: tokens.map(encodeToken) } : {}),
    },
    owner.signingSeed,
  );
  return verifySignedRoster(bytes, genesis);
}

function encodeMember(member: Member, wrap: () => Uint8Array): Canonical {
  const { revoked, token } = member;
  const via = token === undefined ? {} : { token: fromHex(token.id), use: token.use };
  const common = { host: hostToBytes(member.host), role: ROLES.indexOf(member.role), ...via };
  return revoked
    ? { ...common, revoked: { epoch: revoked.epoch, sequence: revoked.sequence } }
    : { ...common, box: wrap() };
}

/** Parses and checks a roster of this disk as its owner signed it; FORMAT_INVALID or SIGNATURE_INVALID. */
export function verifySignedRoster(bytes: Uint8Array, genesis: Genesis): Roster {
  const record = openRecord(bytes, {
    domain: 'roster',
    what: 'roster',
    maxBytes: MAX_ROSTER_BYTES,
    known: ['kind', 'disk', 'sequence', 'secret', 'members', 'tokens'],
  });
  const { reader } = record;
  if (reader.text('kind', 16) !== 'roster') refuse('not a roster');
  if (idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })) !== genesis.disk) refuse('of another disk');
  record.verify(genesis.owner);
  const members: Member[] = [];
  const boxes = new Map<HostId, Uint8Array>();
  for (const item of reader.list('members', MAX_MEMBERS)) {
    const { member, box } = decodeMember(item);
    const last = members.at(-1);
    if (last && last.host >= member.host) refuse('hosts out of order or listed twice');
    members.push(member);
    if (box) boxes.set(member.host, box);
  }
  return {
    disk: genesis.disk,
    sequence: reader.integer('sequence', 1, MAX_SEQUENCE),
    members,
    secretId: reader.bytes('secret', { length: KEY_BYTES }),
    boxes,
    tokens: reader.has('tokens') ? decodeTokens(reader) : [],
    admissions: [],
    signed: record.bytes,
    bytes: record.bytes,
  };
}

function decodeMember(item: Decoded): { member: Member; box: Uint8Array | null } {
  const reader = new RecordReader(item, 'roster member', ['host', 'role', 'revoked', 'box', 'token', 'use']);
  const host = hostFromBytes(reader.bytes('host', { length: HOST_BYTES }));
  const role = ROLES[reader.integer('role', 0, ROLES.length - 1)] as Role;
  const via = reader.has('token')
    ? {
        token: {
          id: tokenIdFromBytes(reader.bytes('token', { length: TOKEN_ID_BYTES })),
          use: reader.integer('use', 1, MAX_TOKEN_USES),
        },
      }
    : {};
  if (reader.has('use') && !reader.has('token')) refuse('the use of no token');
  if (!reader.has('revoked'))
    return { member: { host, role, ...via }, box: reader.bytes('box', { length: BOX_BYTES }) };
  if (reader.has('box')) refuse('a revoked host with a secret');
  const revoked = new RecordReader(reader.value('revoked'), 'roster member', ['epoch', 'sequence']);
  const position = {
    epoch: revoked.integer('epoch', 0, MAX_EPOCH),
    sequence: revoked.integer('sequence', 0, MAX_SEQUENCE),
  };
  return { member: { host, role, revoked: position, ...via }, box: null };
}

/** The entry of `host`, revoked or not; null where the roster does not list it. */
export function memberOf(roster: Roster, host: HostId): Member | null {
  return roster.members.find((member) => member.host === host) ?? null;
}

/** The entry of a host that is listed and not revoked; throws ROLE_FORBIDS or REVOKED. */
export function activeMember(roster: Roster, host: HostId): Member {
  const member = memberOf(roster, host);
  if (member === null)
    throw new DiskswarmError('ROLE_FORBIDS', 'the roster does not list this host', { data: { host } });
  if (member.revoked) throw new DiskswarmError('REVOKED', 'the host was revoked from this disk', { data: { host } });
  return member;
}

/**
 * The order of two signed records: positive when `left` is newer.
 *
 * Two of one sequence number (the owner signed on two hosts that did not know of each other) have an order too,
 * the same everywhere: more revocations first, then the greater hash. So hosts agree without asking.
 */
export function compareRosters(left: Roster, right: Roster): number {
  if (left.disk !== right.disk) refuse('of another disk');
  return (
    left.sequence - right.sequence ||
    revocations(left) - revocations(right) ||
    Buffer.compare(blake3(left.signed), blake3(right.signed))
  );
}

function revocations(roster: Roster): number {
  return roster.members.filter((member) => member.revoked !== undefined).length;
}

/** The current swarm secret as this host may have it; REVOKED or ROLE_FORBIDS where it may not, FORMAT_INVALID if damaged. */
export function openRosterSecret(roster: Roster, keys: HostKeys): SwarmSecret {
  activeMember(roster, keys.hostId);
  const secret = unwrapSecret(roster.boxes.get(keys.hostId) ?? new Uint8Array(0), keys, roster.disk);
  return equalBytes(secretIdOf(secret), roster.secretId)
    ? secret
    : refuse('the wrapped secret is not the one it names');
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `roster: ${why}`, { data: { what: 'roster' } });
}
