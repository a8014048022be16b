/**
 * An invitation: one line of text that lets one host join one disk (design D3).
 *
 * `dsw1` and the record as text (text-line.ts). The owner's signature covers everything, and the swarm secret in the roster opens
 * for the invited host alone.
 * Redeeming it (adding the disk, dialling the addresses) is left to the host agent.
 */
import { type Canonical, DiskswarmError, type HostId, hasCode, messageOf } from '@diskswarm/core';
import { verifyRoster } from './admitted-roster.ts';
import { verifyEpochChain } from './epoch-chain.ts';
import { decodeEpochRecord, type EpochRecord } from './epoch-record.ts';
import { decodeGenesis, type Genesis } from './genesis.ts';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostToBytes } from './host-keys.ts';
import { MAX_EPOCH_RECORDS, MAX_GENESIS_BYTES, MAX_INVITATION_CHARS, MAX_ROSTER_BYTES } from './limits.ts';
import type { Owner } from './owner.ts';
import { checkPlaces, type Places, readPlaces } from './places.ts';
import { activeMember, openRosterSecret, type Roster } from './roster.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import type { SwarmSecret } from './swarm-secret.ts';
import { lineInvalid, openTextLine, textLineOf } from './text-line.ts';

const PREFIX = 'dsw1';

/** What an invitation says. */
export interface InvitationContent extends Places {
  readonly genesis: Genesis;
  readonly roster: Roster;
  /** The epoch records of the disk. */
  readonly epochs: readonly EpochRecord[];
  /** The invited host. */
  readonly host: HostId;
}

/** An invitation as its host reads it. */
export interface Invitation extends InvitationContent {
  readonly secret: SwarmSecret;
}

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
  return textLineOf(PREFIX, sealRecord('invitation', body, owner.signingSeed).bytes);
}

/** Reads a line meant for the host of `keys`; INVITATION_INVALID with a `LineRefusal` in `data.reason`. */
export function parseInvitation(text: string, keys: HostKeys): Invitation {
  const record = openTextLine(text, { prefix: PREFIX, what: 'invitation', maxChars: MAX_INVITATION_CHARS });
  try {
    return readInvitation(record, keys);
  } catch (error) {
    if (hasCode(error, 'INVITATION_INVALID') || !(error instanceof DiskswarmError)) throw error;
    throw lineInvalid(
      'invitation',
      error.code === 'SIGNATURE_INVALID' ? 'forged' : 'malformed',
      messageOf(error),
      error,
    );
  }
}

function readInvitation(bytes: Uint8Array, keys: HostKeys): Invitation {
  const record = openRecord(bytes, {
    domain: 'invitation',
    what: 'invitation',
    maxBytes: MAX_INVITATION_CHARS,
    known: ['kind', 'genesis', 'roster', 'epochs', 'trackers', 'addresses', 'name', 'host'],
  });
  const { reader } = record;
  if (reader.text('kind', 16) !== 'invitation')
    throw lineInvalid('invitation', 'malformed', 'it is another kind of record');
  const genesis = decodeGenesis(reader.bytes('genesis', { max: MAX_GENESIS_BYTES }));
  record.verify(genesis.owner);
  const host = hostFromBytes(reader.bytes('host', { length: HOST_BYTES }));
  if (host !== keys.hostId) throw lineInvalid('invitation', 'foreign', 'it was made for another host');
  const roster = verifyRoster(reader.bytes('roster', { max: MAX_ROSTER_BYTES }), genesis);
  const epochs = reader.list('epochs', MAX_EPOCH_RECORDS).map((item) => {
    if (!(item instanceof Uint8Array)) throw lineInvalid('invitation', 'malformed', 'an epoch record is no record');
    return decodeEpochRecord(item, genesis);
  });
  if (epochs.length > 0) verifyEpochChain(epochs, genesis, roster);
  const content = { genesis, roster, epochs, ...readPlaces(reader, 'invitation'), host };
  return { ...content, secret: openRosterSecret(roster, keys) };
}
