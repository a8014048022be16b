/**
 * The record of a generation: an immutable snapshot of a disk, signed by the host that owned it (design D3).
 *
 * Decoding checks form and the signature of the host it names; `verifyGeneration` then checks that this host was entitled:
 * owner of the epoch by the chain, not revoked before it, not beyond the epoch's end. Only then may a generation count.
 * Encryption and memory images are reserved: version 1 has no field for them, so a record that has one is refused.
 */
import {
  type ChunkId,
  type DiskId,
  DiskswarmError,
  type EpochRecordId,
  fromHex,
  type GenerationId,
  type HostId,
  hasCode,
  idFromBytes,
  idToBytes,
  MAX_DISK_BYTES,
  RecordReader,
  SECTOR_BYTES,
  toHex,
} from '@diskswarm/core';
import { type EpochChain, type EpochEntry, entryOf } from './epoch-chain.ts';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostKeysOf, hostToBytes } from './host-keys.ts';
import { MAX_EPOCH, MAX_GENERATION_BYTES, MAX_SEQUENCE } from './limits.ts';
import { memberOf, type Position, type Roster } from './roster.ts';
import { openRecord, sealRecord } from './signed-record.ts';

const GROUP_BYTES = 16;

/** What the signer of a generation states. */
export interface GenerationContent extends Position {
  readonly disk: DiskId;
  /** From 1, rising over all epochs. */
  readonly sequence: number;
  /** What this one changed: of this disk, or for a clone's first generation of another; null for an import. */
  readonly parent: { readonly disk: DiskId; readonly generation: GenerationId } | null;
  /** For a clone, the generation of another disk that it was made of; all of a clone's generations name it. Null, or left out, for others. */
  readonly base?: { readonly disk: DiskId; readonly generation: GenerationId } | null;
  /** The epoch record that made the signer owner. */
  readonly authority: EpochRecordId;
  /** Root page of the manifest; the zero id for a disk of zeros. */
  readonly root: ChunkId;
  /** Size of the disk; a multiple of 512. */
  readonly sizeBytes: number;
  /** False for a snapshot that only a hand-over needed. */
  readonly kept: boolean;
  /** Names, with 16 bytes in hex, what the disks of one machine were sealed as together; null, or left out, for a disk by itself. */
  readonly group?: string | null;
  /** Milliseconds since 1970 by the signer's clock, for display only. */
  readonly wallMs: number;
}

/** A generation whose own signature verifies. */
export interface Generation extends GenerationContent {
  readonly id: GenerationId;
  /** The signer. */
  readonly host: HostId;
  /** Canonical bytes with the signature. */
  readonly bytes: Uint8Array;
}

/** Why a generation is not trusted: `data.reason` of GENERATION_UNTRUSTED. */
export type UntrustedReason = 'signature' | 'disk' | 'authority' | 'owner' | 'role' | 'revoked' | 'forked' | 'chain';

/** Signs a generation as this host. */
export function createGeneration(content: GenerationContent, keys: HostKeys): Generation {
  const { disk, parent } = content;
  const link = parent && (parent.disk === disk ? { generation: idToBytes(parent.generation) } : linkOf(parent));
  const body = {
    kind: 'generation',
    disk: idToBytes(disk),
    epoch: content.epoch,
    sequence: content.sequence,
    ...(link ? { parent: link } : {}),
    ...(content.base ? { base: linkOf(content.base) } : {}),
    authority: idToBytes(content.authority),
    root: idToBytes(content.root),
    size: content.sizeBytes,
    encryption: 0,
    kept: content.kept ? 1 : 0,
    ...(content.group ? { group: fromHex(content.group) } : {}),
    time: content.wallMs,
    host: hostToBytes(keys.hostId),
  };
  return decodeGeneration(sealRecord('generation', body, keys.signingSeed).bytes);
}

/** Parses a generation and checks the signature of the host it names; FORMAT_INVALID or GENERATION_UNTRUSTED. */
export function decodeGeneration(bytes: Uint8Array): Generation {
  const record = openRecord(bytes, {
    domain: 'generation',
    what: 'generation',
    maxBytes: MAX_GENERATION_BYTES,
    known: [
      'kind',
      'disk',
      'epoch',
      'sequence',
      'parent',
      'base',
      'authority',
      'root',
      'size',
      'encryption',
      'kept',
      'group',
      'time',
      'host',
    ],
  });
  const { reader } = record;
  const id = <Id extends DiskId | EpochRecordId | ChunkId>(key: string): Id =>
    idFromBytes<Id>(reader.bytes(key, { length: 32 }));
  if (reader.text('kind', 16) !== 'generation') refuse('not a generation');
  reader.integer('encryption', 0, 0);
  const disk = id<DiskId>('disk');
  const sizeBytes = reader.integer('size', SECTOR_BYTES, MAX_DISK_BYTES);
  if (sizeBytes % SECTOR_BYTES !== 0) refuse('a size that is no multiple of 512');
  const generation: Generation = {
    id: record.id as string as GenerationId,
    disk,
    epoch: reader.integer('epoch', 1, MAX_EPOCH),
    sequence: reader.integer('sequence', 1, MAX_SEQUENCE),
    parent: reader.has('parent')
      ? decodeParent(new RecordReader(reader.value('parent'), 'generation', ['disk', 'generation']), disk)
      : null,
    base: reader.has('base')
      ? decodeBase(new RecordReader(reader.value('base'), 'generation', ['disk', 'generation']), disk)
      : null,
    authority: id<EpochRecordId>('authority'),
    root: id<ChunkId>('root'),
    sizeBytes,
    kept: reader.integer('kept', 0, 1) === 1,
    group: reader.has('group') ? toHex(reader.bytes('group', { length: GROUP_BYTES })) : null,
    wallMs: reader.integer('time', 0, Number.MAX_SAFE_INTEGER),
    host: hostFromBytes(reader.bytes('host', { length: HOST_BYTES })),
    bytes: record.bytes,
  };
  const isFirst = generation.parent?.disk !== disk;
  if (isFirst !== (generation.sequence === 1)) refuse('the first generation, and no other, has no parent of this disk');
  const foreign = isFirst ? generation.parent : null;
  if (foreign !== null && generation.base != null && foreign.generation !== generation.base.generation)
    refuse('the first generation of a clone names another base than its parent');
  try {
    record.verify(hostKeysOf(generation.host).signing);
  } catch (error) {
    throw hasCode(error, 'SIGNATURE_INVALID')
      ? untrusted(generation, 'signature', 'its signature does not verify')
      : error;
  }
  return generation;
}

function linkOf({ disk, generation }: { disk: DiskId; generation: GenerationId }): { [key: string]: Uint8Array } {
  return { disk: idToBytes(disk), generation: idToBytes(generation) };
}

function decodeBase(reader: RecordReader, own: DiskId): { disk: DiskId; generation: GenerationId } {
  const disk = idFromBytes<DiskId>(reader.bytes('disk', { length: 32 }));
  if (disk === own) return refuse('it names its own disk as its base');
  return { disk, generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })) };
}

function decodeParent(reader: RecordReader, own: DiskId): { disk: DiskId; generation: GenerationId } {
  const generation = idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 }));
  if (!reader.has('disk')) return { disk: own, generation };
  const disk = idFromBytes<DiskId>(reader.bytes('disk', { length: 32 }));
  return disk === own ? refuse('it names its own disk as a foreign one') : { disk, generation };
}

/** The id of a generation: BLAKE3 of the record without its signature. */
export function generationIdOf(generation: Generation): GenerationId {
  return generation.id;
}

/** Checks that the signer was entitled; GENERATION_UNTRUSTED with an `UntrustedReason` in `data.reason`. */
export function verifyGeneration(generation: Generation, chain: EpochChain, roster: Roster): void {
  if (generation.disk !== roster.disk) throw untrusted(generation, 'disk', 'it belongs to another disk');
  const entry = entryOf(chain, generation.authority);
  if (entry === null) {
    const forked = chain.forks.some((record) => record.id === generation.authority);
    if (forked) throw untrusted(generation, 'forked', 'its epoch belongs to a fork');
    throw untrusted(generation, 'authority', 'its authority is not part of the chain of epoch records');
  }
  if (entry.refused || entry.owner !== generation.host || entry.epoch !== generation.epoch) {
    throw untrusted(generation, 'owner', 'its signer did not own that epoch');
  }
  checkWithin(generation, entry);
  const member = memberOf(roster, generation.host);
  if (member?.role !== 'writer') throw untrusted(generation, 'role', 'its signer is no writer');
  if (member.revoked && comparePositions(generation, member.revoked) > 0) {
    throw untrusted(generation, 'revoked', 'its signer was revoked before');
  }
}

/** A generation lies after the one its epoch began with, and not beyond the one it ended with. */
function checkWithin(generation: Generation, { after, until }: EpochEntry): void {
  const early = after !== null && generation.sequence <= after.sequence;
  const follows =
    after === null || generation.sequence > after.sequence + 1 || generation.parent?.generation === after.generation;
  const late = until !== null && generation.sequence > until.sequence;
  const otherEnd = until?.sequence === generation.sequence && until.generation !== generation.id;
  if (early || late || otherEnd || !follows) throw untrusted(generation, 'forked', 'it does not lie within its epoch');
}

/** Order of generations: by epoch, then by sequence number. Negative when `left` is older. */
export function comparePositions(left: Position, right: Position): number {
  return left.epoch - right.epoch || left.sequence - right.sequence;
}

/** The same under the name that goes with generations. */
export const compareGenerations: (left: Position, right: Position) => number = comparePositions;

/**
 * What to do with a verified generation beside the highest one seen (null when none was).
 *
 * A highest one whose epoch the chain no longer counts (a take-over was forced) gives way to any that verifies.
 * Two generations of one position are a fork: GENERATION_UNTRUSTED with reason "forked".
 */
export function acceptGeneration(
  highest: Generation | null,
  offered: Generation,
  chain: EpochChain,
): 'newer' | 'same' | 'stale' {
  if (highest === null || !counts(highest, chain)) return highest?.id === offered.id ? 'same' : 'newer';
  const order = comparePositions(offered, highest);
  if (order === 0 && offered.id !== highest.id) throw untrusted(offered, 'forked', 'another generation has its place');
  return order > 0 ? 'newer' : order < 0 ? 'stale' : 'same';
}

function counts(generation: Generation, chain: EpochChain): boolean {
  const entry = entryOf(chain, generation.authority);
  return entry !== null && !entry.refused && (entry.until === null || generation.sequence <= entry.until.sequence);
}

function untrusted(generation: Generation, reason: UntrustedReason, why: string): DiskswarmError {
  const { id, disk, epoch, sequence } = generation;
  return new DiskswarmError('GENERATION_UNTRUSTED', `generation ${sequence} of epoch ${epoch}: ${why}`, {
    data: { reason, generation: id, disk, epoch, sequence },
  });
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `generation: ${why}`, { data: { what: 'generation' } });
}
