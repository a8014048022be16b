/**
 * An invitation: one line of text that lets one host join one disk (design D3).
 *
 * `dsw1` and base64url of length ‖ record ‖ checksum. Length and checksum tell a line that was cut or mistyped from one that
 * was forged; the owner's signature covers everything, and the swarm secret in the roster opens for the invited host alone.
 * Redeeming it (adding the disk, dialling the addresses) is left to the host agent.
 */
import {
  blake3,
  type Canonical,
  DiskswarmError,
  type HostId,
  hasCode,
  messageOf,
  parseAddress,
  RecordReader,
} from '@diskswarm/core';
import { verifyEpochChain } from './epoch-chain.ts';
import { decodeEpochRecord, type EpochRecord } from './epoch-record.ts';
import { decodeGenesis, type Genesis } from './genesis.ts';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostToBytes } from './host-keys.ts';
import {
  MAX_EPOCH_RECORDS,
  MAX_GENESIS_BYTES,
  MAX_INVITATION_CHARS,
  MAX_INVITATION_PLACES,
  MAX_ROSTER_BYTES,
} from './limits.ts';
import { NAME_PATTERN } from './names.ts';
import type { Owner } from './owner.ts';
import { activeMember, openRosterSecret, type Roster, verifyRoster } from './roster.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import type { SwarmSecret } from './swarm-secret.ts';

const PREFIX = 'dsw1';
const LENGTH_BYTES = 4;
const CHECKSUM_BYTES = 8;
const MAX_PLACE_BYTES = 512;

/** What an invitation says. */
export interface InvitationContent {
  readonly genesis: Genesis;
  readonly roster: Roster;
  /** The epoch records of the disk. */
  readonly epochs: readonly EpochRecord[];
  /** Announce URLs, at most 16. */
  readonly trackers: readonly string[];
  /** `host:port` of the inviter, at most 16. */
  readonly addresses: readonly string[];
  /** Suggested name for the disk. */
  readonly name: string;
  /** The invited host. */
  readonly host: HostId;
}

/** An invitation as its host reads it. */
export interface Invitation extends InvitationContent {
  readonly secret: SwarmSecret;
}

/** Why an invitation is refused: `data.reason` of INVITATION_INVALID. */
export type InvitationRefusal = 'malformed' | 'too-long' | 'version' | 'incomplete' | 'altered' | 'forged' | 'foreign';

/** The line for `content.host`, which the roster must list. REVOKED, ROLE_FORBIDS, INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function createInvitation(content: InvitationContent, owner: Owner): string {
  activeMember(content.roster, content.host);
  checkPlaces(content);
  const line = encodeLine(content, owner);
  if (line.length <= MAX_INVITATION_CHARS) return line;
  throw new DiskswarmError(
    'LIMIT_EXCEEDED',
    'the disk has too many hosts, or changed its owner too often, for an invitation',
    {
      data: { limit: MAX_INVITATION_CHARS },
    },
  );
}

function checkPlaces({ trackers, addresses, name }: InvitationContent): void {
  for (const address of addresses) parseAddress(address);
  const places = [...trackers, ...addresses];
  const tooMany = trackers.length > MAX_INVITATION_PLACES || addresses.length > MAX_INVITATION_PLACES;
  if (tooMany || places.some((place) => Buffer.byteLength(place) > MAX_PLACE_BYTES) || !NAME_PATTERN.test(name)) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      'an invitation names at most 16 trackers and addresses, and a valid disk name',
    );
  }
  for (const tracker of trackers) {
    if (!URL.canParse(tracker))
      throw new DiskswarmError('INVALID_ARGUMENT', `"${tracker.slice(0, 80)}" is no tracker URL`);
  }
}

function encodeLine(content: InvitationContent, owner: Owner): string {
  const body: { [key: string]: Canonical } = {
    kind: 'invitation',
    genesis: content.genesis.bytes,
    roster: content.roster.bytes,
    epochs: content.epochs.map((record) => record.bytes),
    trackers: content.trackers,
    addresses: content.addresses,
    name: content.name,
    host: hostToBytes(content.host),
  };
  const { bytes } = sealRecord('invitation', body, owner.signingSeed);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes.length);
  return PREFIX + Buffer.concat([length, bytes, checksumOf(bytes)]).toString('base64url');
}

function checksumOf(bytes: Uint8Array): Uint8Array {
  return blake3(bytes).subarray(0, CHECKSUM_BYTES);
}

/** Reads a line meant for the host of `keys`; INVITATION_INVALID with an `InvitationRefusal` in `data.reason`. */
export function parseInvitation(text: string, keys: HostKeys): Invitation {
  const record = openLine(text.trim());
  try {
    return readInvitation(record, keys);
  } catch (error) {
    if (hasCode(error, 'INVITATION_INVALID') || !(error instanceof DiskswarmError)) throw error;
    throw invalid(error.code === 'SIGNATURE_INVALID' ? 'forged' : 'malformed', messageOf(error), error);
  }
}

/** The record in the line, complete and unaltered. */
function openLine(line: string): Uint8Array {
  if (line.length > MAX_INVITATION_CHARS)
    throw invalid('too-long', `it is longer than ${MAX_INVITATION_CHARS} characters`);
  if (!line.startsWith(PREFIX)) {
    if (/^dsw\d/.test(line)) throw invalid('version', 'it was made by another version of diskswarm');
    throw invalid('malformed', 'it does not begin with "dsw1"');
  }
  const encoded = line.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) throw invalid('malformed', 'it holds characters that no invitation has');
  const bytes = Buffer.from(encoded, 'base64url');
  const length = bytes.length < LENGTH_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt32BE(0);
  const missing = LENGTH_BYTES + length + CHECKSUM_BYTES - bytes.length;
  if (missing > 0) throw invalid('incomplete', 'its end is missing');
  const record = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
  const checksum = bytes.subarray(LENGTH_BYTES + length);
  if (missing < 0 || Buffer.compare(checksum, checksumOf(record)) !== 0)
    throw invalid('altered', 'its checksum does not match');
  return record;
}

function readInvitation(bytes: Uint8Array, keys: HostKeys): Invitation {
  const record = openRecord(bytes, {
    domain: 'invitation',
    what: 'invitation',
    maxBytes: MAX_INVITATION_CHARS,
    known: ['kind', 'genesis', 'roster', 'epochs', 'trackers', 'addresses', 'name', 'host'],
  });
  const { reader } = record;
  if (reader.text('kind', 16) !== 'invitation') throw invalid('malformed', 'it is another kind of record');
  const genesis = decodeGenesis(reader.bytes('genesis', { max: MAX_GENESIS_BYTES }));
  record.verify(genesis.owner);
  const host = hostFromBytes(reader.bytes('host', { length: HOST_BYTES }));
  if (host !== keys.hostId) throw invalid('foreign', 'it was made for another host');
  const roster = verifyRoster(reader.bytes('roster', { max: MAX_ROSTER_BYTES }), genesis);
  const epochs = reader.list('epochs', MAX_EPOCH_RECORDS).map((item) => {
    if (!(item instanceof Uint8Array)) throw invalid('malformed', 'an epoch record is no record');
    return decodeEpochRecord(item, genesis);
  });
  if (epochs.length > 0) verifyEpochChain(epochs, genesis, roster);
  const texts = (key: string): string[] =>
    reader
      .list(key, MAX_INVITATION_PLACES)
      .map((item) => new RecordReader({ item }, 'invitation', ['item']).text('item', MAX_PLACE_BYTES));
  const content = {
    genesis,
    roster,
    epochs,
    trackers: texts('trackers'),
    addresses: texts('addresses'),
    name: reader.text('name', 64),
    host,
  };
  checkPlaces(content);
  return { ...content, secret: openRosterSecret(roster, keys) };
}

function invalid(reason: InvitationRefusal, why: string, cause?: unknown): DiskswarmError {
  return new DiskswarmError('INVITATION_INVALID', `the invitation cannot be used: ${why}`, { data: { reason }, cause });
}
