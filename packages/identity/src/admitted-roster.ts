/**
 * A roster together with the hosts that came by a token since the owner signed it: one object, one sequence of bytes.
 *
 * What counts follows from the signed record alone, so that hosts which heard the same things in any order end with the same
 * roster: the token is listed, not revoked, its redeeming host is a member, the use is one that the owner has not counted yet and
 * not beyond the last, the host is not listed already, and the box holds the current secret. Of two hosts for one use, and of
 * two uses for one host, the first by token, use and bytes counts.
 */
import { blake3, DiskswarmError, decodeCanonical, encodeCanonical, type HostId, RecordReader } from '@diskswarm/core';
import { type Admission, decodeAdmission } from './admission.ts';
import type { Genesis } from './genesis.ts';
import { MAX_MEMBERS, MAX_RECORD_BYTES, MAX_ROSTER_BYTES } from './limits.ts';
import { equalBytes } from './primitives.ts';
import { compareRosters, type Member, memberOf, type Roster, verifySignedRoster } from './roster.ts';

/**
 * Parses and checks a roster of this disk, with its admissions if it has some; FORMAT_INVALID or SIGNATURE_INVALID. What is
 * the same in `known`, a roster of this disk that was checked, is not checked again.
 */
export function verifyRoster(bytes: Uint8Array, genesis: Genesis, known: Roster | null = null): Roster {
  if (known !== null && sameBytes(bytes, known.bytes)) return known;
  const value = decodeCanonical(bytes, { maxBytes: MAX_ROSTER_BYTES, what: 'roster' });
  if (typeof value !== 'object' || !('admissions' in value)) return verifySignedRoster(bytes, genesis);
  const reader = new RecordReader(value, 'roster', ['admissions', 'roster']);
  const record = reader.bytes('roster', { max: MAX_ROSTER_BYTES });
  const signed =
    known !== null && sameBytes(record, known.signed) ? signedPart(known) : verifySignedRoster(record, genesis);
  const checked = new Map(known?.admissions.map((each) => [keyOf(each.bytes), each]));
  const admissions = reader.list('admissions', MAX_MEMBERS).map((item) => {
    if (!(item instanceof Uint8Array) || item.length > MAX_RECORD_BYTES) return refuse('an admission is no record');
    return checked.get(keyOf(item)) ?? decodeAdmission(item);
  });
  const roster = withAdmissions(signed, admissions);
  if (!sameBytes(roster.bytes, bytes)) refuse('admissions that do not count, or out of order');
  return roster;
}

/** The roster with the admissions among its own and `more` that count; LIMIT_EXCEEDED where they do not fit. */
export function withAdmissions(roster: Roster, more: readonly Admission[]): Roster {
  const signed = signedPart(roster);
  const hosts = new Set<HostId>(signed.members.map(({ host }) => host));
  const uses = new Set<string>();
  const admissions: Admission[] = [];
  for (const admission of [...roster.admissions, ...more].sort(compareAdmissions)) {
    const use = `${admission.id} ${admission.use}`;
    if (!counts(admission, signed) || hosts.has(admission.host) || uses.has(use)) continue;
    hosts.add(admission.host);
    uses.add(use);
    admissions.push(admission);
  }
  if (admissions.length === 0) return signed;
  const bytes = encodeCanonical({ admissions: admissions.map((each) => each.bytes), roster: signed.signed });
  const members = [...signed.members, ...admissions.map((each) => memberBy(each, signed))];
  if (bytes.length > MAX_ROSTER_BYTES || members.length > MAX_MEMBERS)
    throw new DiskswarmError('LIMIT_EXCEEDED', 'the roster has no room for more hosts that come by a token', {
      data: { limit: MAX_MEMBERS },
    });
  const boxes = new Map([...signed.boxes, ...admissions.map(({ host, box }) => [host, box] as const)]);
  members.sort((left, right) => (left.host < right.host ? -1 : 1));
  return { ...signed, members, boxes, admissions, bytes };
}

/**
 * What is known once `offered` was heard: the newer signed record, with the admissions of both that count beside it.
 * `newer` when that is another roster than `current`; else ours says as much (`same`), or more (`stale`).
 */
export function takeRoster(current: Roster, offered: Roster): { verdict: 'newer' | 'same' | 'stale'; roster: Roster } {
  if (sameBytes(current.bytes, offered.bytes)) return { verdict: 'same', roster: current };
  const order = compareRosters(offered, current);
  const [newest, other] = order > 0 ? [offered, current] : [current, offered];
  const roster = withAdmissions(newest, other.admissions);
  if (!sameBytes(roster.bytes, current.bytes)) return { verdict: 'newer', roster };
  return { verdict: order < 0 ? 'stale' : 'same', roster: current };
}

function counts(admission: Admission, signed: Roster): boolean {
  const token = signed.tokens.find(({ id }) => id === admission.id);
  if (token === undefined || token.revoked || admission.disk !== signed.disk) return false;
  const redeemer = memberOf(signed, token.redeemer);
  return (
    admission.redeemer === token.redeemer &&
    redeemer !== null &&
    redeemer.revoked === undefined &&
    admission.use > token.used &&
    admission.use <= token.uses &&
    equalBytes(admission.secretId, signed.secretId)
  );
}

function memberBy({ host, id, use }: Admission, signed: Roster): Member {
  const token = signed.tokens.find((each) => each.id === id)!;
  return { host, role: token.role, token: { id, use } };
}

/** Without what came since the owner signed. */
function signedPart(roster: Roster): Roster {
  if (roster.admissions.length === 0) return roster;
  const came = new Set(roster.admissions.map(({ host }) => host));
  const boxes = new Map([...roster.boxes].filter(([host]) => !came.has(host)));
  const members = roster.members.filter(({ host }) => !came.has(host));
  return { ...roster, members, boxes, admissions: [], bytes: roster.signed };
}

function compareAdmissions(left: Admission, right: Admission): number {
  const byToken = left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
  return byToken || left.use - right.use || Buffer.compare(left.bytes, right.bytes);
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(blake3(bytes)).toString('latin1');
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `roster: ${why}`, { data: { what: 'roster' } });
}
