/**
 * Receipts and releases (design D7): "this generation is complete and durable here, and pinned", and "the pin may go".
 *
 * A receipt answers one request: it carries its nonce, so that an old one cannot stand for the present. Whether the pin
 * really exists is the issuer's promise; who may rely on which receipt is decided in the ownership package.
 */
import {
  type DiskId,
  DiskswarmError,
  type EpochRecordId,
  type GenerationId,
  type HostId,
  idFromBytes,
  idToBytes,
} from '@diskswarm/core';
import type { EpochChain } from './epoch-chain.ts';
import { NONCE_BYTES } from './epoch-record.ts';
import type { Generation } from './generation.ts';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostKeysOf, hostToBytes } from './host-keys.ts';
import { MAX_EPOCH, MAX_RECORD_BYTES, MAX_SEQUENCE } from './limits.ts';
import { activeMember, type Position, type Roster } from './roster.ts';
import { type OpenedRecord, openRecord, sealRecord } from './signed-record.ts';

/** A signed promise of `host`. */
export interface Receipt extends Position {
  readonly disk: DiskId;
  readonly generation: GenerationId;
  /** The issuer, which pins the generation until it may be released. */
  readonly host: HostId;
  /** 16 bytes chosen by whoever asked. */
  readonly nonce: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The present owner lets a keeper drop its pins up to a generation. */
export interface Release {
  readonly disk: DiskId;
  readonly generation: GenerationId;
  readonly keeper: HostId;
  /** The signer, owner of the disk by `authority`. */
  readonly host: HostId;
  readonly authority: EpochRecordId;
  readonly bytes: Uint8Array;
}

/** This host promises that `generation` is complete, durable and pinned here. Pin first, durably, then sign. */
export function createReceipt(generation: Generation, nonce: Uint8Array, keys: HostKeys): Receipt {
  const body = {
    kind: 'receipt',
    disk: idToBytes(generation.disk),
    generation: idToBytes(generation.id),
    epoch: generation.epoch,
    sequence: generation.sequence,
    host: hostToBytes(keys.hostId),
    pins: 1,
    nonce,
  };
  return decodeReceipt(openReceipt(sealRecord('receipt', body, keys.signingSeed).bytes));
}

/** Parses a receipt of an active member of this disk; FORMAT_INVALID, SIGNATURE_INVALID, ROLE_FORBIDS or REVOKED. */
export function verifyReceipt(bytes: Uint8Array, roster: Roster): Receipt {
  const record = openReceipt(bytes);
  const receipt = decodeReceipt(record);
  record.verify(hostKeysOf(receipt.host).signing);
  if (receipt.disk !== roster.disk) refuse('receipt', 'of another disk');
  activeMember(roster, receipt.host);
  return receipt;
}

function openReceipt(bytes: Uint8Array): OpenedRecord {
  const known = ['kind', 'disk', 'generation', 'epoch', 'sequence', 'host', 'pins', 'nonce'];
  return openRecord(bytes, { domain: 'receipt', what: 'receipt', maxBytes: MAX_RECORD_BYTES, known });
}

function decodeReceipt({ reader, bytes }: OpenedRecord): Receipt {
  if (reader.text('kind', 16) !== 'receipt') refuse('receipt', 'of another kind');
  reader.integer('pins', 1, 1);
  return {
    disk: idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })),
    generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })),
    epoch: reader.integer('epoch', 1, MAX_EPOCH),
    sequence: reader.integer('sequence', 1, MAX_SEQUENCE),
    host: hostFromBytes(reader.bytes('host', { length: HOST_BYTES })),
    nonce: reader.bytes('nonce', { length: NONCE_BYTES }),
    bytes,
  };
}

/** This host, owner of the disk by `authority`, lets `keeper` drop its pins up to `generation`. */
export function createRelease(
  content: { generation: Generation; keeper: HostId; authority: EpochRecordId },
  keys: HostKeys,
): Release {
  const { generation, keeper, authority } = content;
  const body = {
    kind: 'release',
    disk: idToBytes(generation.disk),
    generation: idToBytes(generation.id),
    keeper: hostToBytes(keeper),
    host: hostToBytes(keys.hostId),
    authority: idToBytes(authority),
  };
  return decodeRelease(openRelease(sealRecord('release', body, keys.signingSeed).bytes));
}

/** Parses a release by the present owner of this disk; FORMAT_INVALID, SIGNATURE_INVALID or NOT_OWNER. */
export function verifyRelease(bytes: Uint8Array, chain: EpochChain, roster: Roster): Release {
  const record = openRelease(bytes);
  const release = decodeRelease(record);
  record.verify(hostKeysOf(release.host).signing);
  if (release.disk !== roster.disk) refuse('release', 'of another disk');
  if (release.host !== chain.current.owner || release.authority !== chain.current.authority) {
    throw new DiskswarmError('NOT_OWNER', 'only the present owner releases a pin', {
      data: { ownerHostId: chain.current.owner },
    });
  }
  return release;
}

function openRelease(bytes: Uint8Array): OpenedRecord {
  const known = ['kind', 'disk', 'generation', 'keeper', 'host', 'authority'];
  return openRecord(bytes, { domain: 'release', what: 'release', maxBytes: MAX_RECORD_BYTES, known });
}

function decodeRelease({ reader, bytes }: OpenedRecord): Release {
  if (reader.text('kind', 16) !== 'release') refuse('release', 'of another kind');
  return {
    disk: idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })),
    generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })),
    keeper: hostFromBytes(reader.bytes('keeper', { length: HOST_BYTES })),
    host: hostFromBytes(reader.bytes('host', { length: HOST_BYTES })),
    authority: idFromBytes<EpochRecordId>(reader.bytes('authority', { length: 32 })),
    bytes,
  };
}

function refuse(what: string, why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `${what}: ${why}`, { data: { what } });
}
