/**
 * The records that say who owns a disk: grant, relinquish, refusal and forced take-over; and the acceptance (design D6).
 *
 * Each names the record before it, so they form a chain from the genesis; a fork shows as two that name the same one.
 * A record is checked here as far as it can be alone: form, disk, and the signature of the one it says signed it.
 * Whether that signer was entitled to is epoch-chain.ts.
 */
import {
  type DiskId,
  DiskswarmError,
  type EpochRecordId,
  type GenerationId,
  type HostId,
  idFromBytes,
} from '@diskswarm/core';
import type { Genesis } from './genesis.ts';
import { HOST_BYTES, hostFromBytes, hostKeysOf } from './host-keys.ts';
import { MAX_EPOCH, MAX_RECORD_BYTES, MAX_SEQUENCE } from './limits.ts';
import { MAX_FORK_NAME_BYTES, NAME_PATTERN } from './names.ts';
import { openRecord } from './signed-record.ts';

interface Common {
  /** BLAKE3 of the unsigned body. */
  readonly id: EpochRecordId;
  readonly disk: DiskId;
  readonly epoch: number;
  /** The record this one follows; the disk's id for the first. */
  readonly previous: EpochRecordId;
  /** Canonical bytes with the signature. */
  readonly bytes: Uint8Array;
}

/** Epoch 1, signed by the owner when the disk is made. */
export interface Grant extends Common {
  readonly kind: 'grant';
  readonly to: HostId;
}

/** The owning host gives the disk up for good, signed by it; only the destination's refusal gives it back. */
export interface Relinquish extends Common {
  readonly kind: 'relinquish';
  readonly from: HostId;
  readonly to: HostId;
  /** The last generation of the epoch that ends. */
  readonly finalGeneration: GenerationId;
  readonly finalSequence: number;
  /** 16 random bytes. */
  readonly nonce: Uint8Array;
}

/** The destination takes the disk, signed by it. The commit of a hand-over; the chain goes on without it. */
export interface Acceptance extends Common {
  readonly kind: 'accept';
  readonly by: HostId;
}

/** The destination will never own this epoch, signed by it; `previous` is the relinquish. The source owns the disk again. */
export interface Refusal extends Common {
  readonly kind: 'refuse';
  readonly by: HostId;
  /** A stable error code. */
  readonly code: string;
  /** For people. */
  readonly reason: string;
}

/** The owner moves the disk without its owning host, from a generation that host may have gone beyond: a fork, named. */
export interface Force extends Common {
  readonly kind: 'force';
  readonly to: HostId;
  readonly afterGeneration: GenerationId;
  readonly afterSequence: number;
  readonly forkName: string;
}

/** A record of the chain. */
export type EpochRecord = Grant | Relinquish | Refusal | Force;
/** The one answer a destination gives to a relinquish. */
export type Verdict = Acceptance | Refusal;

/** Longest `reason` of a refusal, in UTF-8 bytes. */
export const MAX_REASON_BYTES = 512;
/** Bytes of the nonce of a relinquish and of a receipt. */
export const NONCE_BYTES = 16;

const KNOWN = {
  grant: ['to'],
  relinquish: ['from', 'to', 'final', 'sequence', 'nonce'],
  accept: ['by'],
  refuse: ['by', 'code', 'reason'],
  force: ['to', 'after', 'sequence', 'fork'],
} as const;

/** Parses a record of the chain of this disk and checks its signature; FORMAT_INVALID or SIGNATURE_INVALID. */
export function decodeEpochRecord(bytes: Uint8Array, genesis: Genesis): EpochRecord {
  const record = decodeAny(bytes, genesis);
  return record.kind === 'accept' ? refuse('an acceptance is not part of the chain') : record;
}

/** Parses an acceptance or a refusal and checks its signature; FORMAT_INVALID or SIGNATURE_INVALID. */
export function decodeVerdict(bytes: Uint8Array, genesis: Genesis): Verdict {
  const record = decodeAny(bytes, genesis);
  return record.kind === 'accept' || record.kind === 'refuse' ? record : refuse('not a verdict');
}

/** The id of a record. */
export function epochRecordIdOf(record: EpochRecord | Verdict): EpochRecordId {
  return record.id;
}

function decodeAny(bytes: Uint8Array, genesis: Genesis): EpochRecord | Verdict {
  const record = openRecord(bytes, {
    domain: 'epoch',
    what: 'epoch record',
    maxBytes: MAX_RECORD_BYTES,
    known: ['kind', 'disk', 'epoch', 'previous', ...new Set(Object.values(KNOWN).flat())],
  });
  const { reader } = record;
  const kind = reader.text('kind', 16);
  if (!Object.hasOwn(KNOWN, kind)) return refuse('of an unknown kind');
  const fields: readonly string[] = KNOWN[kind as keyof typeof KNOWN];
  for (const field of new Set(Object.values(KNOWN).flat())) {
    if (reader.has(field) && !fields.includes(field)) refuse(`"${field}" does not belong to a ${kind}`);
  }
  const common: Common = {
    id: record.id as string as EpochRecordId,
    disk: idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })),
    epoch: reader.integer('epoch', 1, MAX_EPOCH),
    previous: idFromBytes<EpochRecordId>(reader.bytes('previous', { length: 32 })),
    bytes: record.bytes,
  };
  if (common.disk !== genesis.disk) refuse('of another disk');
  const host = (key: string): HostId => hostFromBytes(reader.bytes(key, { length: HOST_BYTES }));
  const generation = (key: string): GenerationId => idFromBytes<GenerationId>(reader.bytes(key, { length: 32 }));
  const sequence = (): number => reader.integer('sequence', 1, MAX_SEQUENCE);
  switch (kind as keyof typeof KNOWN) {
    case 'grant': {
      record.verify(genesis.owner);
      return { ...common, kind: 'grant', to: host('to') };
    }
    case 'relinquish': {
      const from = host('from');
      record.verify(hostKeysOf(from).signing);
      const nonce = reader.bytes('nonce', { length: NONCE_BYTES });
      return {
        ...common,
        kind: 'relinquish',
        from,
        to: host('to'),
        finalGeneration: generation('final'),
        finalSequence: sequence(),
        nonce,
      };
    }
    case 'accept': {
      const by = host('by');
      record.verify(hostKeysOf(by).signing);
      return { ...common, kind: 'accept', by };
    }
    case 'refuse': {
      const by = host('by');
      record.verify(hostKeysOf(by).signing);
      const code = reader.text('code', 64);
      if (!/^[A-Z][A-Z0-9_]*$/.test(code)) refuse('a malformed code');
      return { ...common, kind: 'refuse', by, code, reason: reader.text('reason', MAX_REASON_BYTES) };
    }
    case 'force': {
      record.verify(genesis.owner);
      const forkName = reader.text('fork', MAX_FORK_NAME_BYTES);
      if (!NAME_PATTERN.test(forkName)) refuse('a malformed fork name');
      return {
        ...common,
        kind: 'force',
        to: host('to'),
        afterGeneration: generation('after'),
        afterSequence: sequence(),
        forkName,
      };
    }
  }
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `epoch record: ${why}`, { data: { what: 'epoch record' } });
}
