/**
 * The extension messages (BEP 10) of this protocol, named `ds_…`: types, encoding, bounds.
 *
 * Records that others sign (rosters, generations, epochs, ownership messages) and traces pass through as bytes: who knows
 * them checks them. Decoding throws FORMAT_INVALID on whatever an honest peer does not send.
 */
import { decodeRuns, encodeRuns, RangeSet } from '@diskswarm/bitfield';
import {
  type Canonical,
  type ChunkId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  type GenerationId,
  ID_BYTES,
  idFromBytes,
  idToBytes,
  MAX_PIECES,
  PAGE_BYTES,
  type PieceIndex,
  RecordReader,
} from '@diskswarm/core';
import {
  INDEX_SPACE,
  MAX_CLAIM_RUNS,
  MAX_EPOCH_RECORD_BYTES,
  MAX_EPOCH_RECORDS,
  MAX_EXTENSION_BYTES,
  MAX_GENERATION_RECORD_BYTES,
  MAX_PATH_PAGES,
} from './limits.ts';
import { BASE_EXTENSION, PACKED_EXTENSION } from './packed-piece.ts';

/** The disk's signed roster with the wrapped secrets; the first message each way. */
export interface RosterMessage {
  readonly kind: 'roster';
  readonly bundle: Uint8Array;
}
/** Opens the piece space of a generation. */
export interface GenerationMessage {
  readonly kind: 'generation';
  /** First index of the run of `pieces` indexes that names this generation's pieces from now on. */
  readonly space: number;
  readonly pieces: number;
  readonly generation: GenerationId;
  /** The signed generation record. */
  readonly record: Uint8Array;
  /** Signed epoch records that the peer may lack, besides those of the epochs messages before. */
  readonly epochs: readonly Uint8Array[];
}
/** Epoch records that belong to the next generation message, which has no room for them. */
export interface EpochsMessage {
  readonly kind: 'epochs';
  readonly epochs: readonly Uint8Array[];
}
/** What the sender has and lacks of a generation, added to what it said before. */
export interface ClaimsMessage {
  readonly kind: 'claims';
  readonly space: number;
  readonly has: RangeSet;
  readonly lacks: RangeSet;
}
/** Asks for the manifest pages of a piece's path, from `fromLevel` (of the highest page wanted) down to level 0. */
export interface PathMessage {
  readonly kind: 'path';
  /** Names the answer. */
  readonly request: number;
  readonly root: ChunkId;
  readonly piece: PieceIndex;
  readonly fromLevel: number;
}
/** Answers a path: pages from the highest to the leaf, none when the sender lacks one. */
export interface PagesMessage {
  readonly kind: 'pages';
  readonly request: number;
  readonly pages: readonly Uint8Array[];
}
/** The recorded order of faults of a generation. */
export interface TraceMessage {
  readonly kind: 'trace';
  readonly generation: GenerationId;
  readonly trace: Uint8Array;
}
/** A message of the hand-over, opaque here. */
export interface OwnershipMessage {
  readonly kind: 'ownership';
  readonly message: Uint8Array;
}

/** A message of a live migration, opaque here. */
export interface MigrationMessage {
  readonly kind: 'migration';
  readonly message: Uint8Array;
}

/** Whether chunks for the sender may come compressed from now on; not before it says so. */
export interface PackingMessage {
  readonly kind: 'packing';
  readonly compressed: boolean;
}

export type ExtensionMessage =
  | RosterMessage
  | GenerationMessage
  | EpochsMessage
  | ClaimsMessage
  | PathMessage
  | PagesMessage
  | TraceMessage
  | OwnershipMessage
  | MigrationMessage
  | PackingMessage;

const PREFIX = 'ds_';

/** Extension names on the control lane; the bulk lane carries traces, which must not hold a fault up. */
export const CONTROL_EXTENSIONS: readonly string[] = [
  'roster',
  'generation',
  'epochs',
  'claims',
  'path',
  'pages',
  'ownership',
  'migration',
  'packing',
]
  .map((kind) => PREFIX + kind)
  .concat(BASE_EXTENSION, PACKED_EXTENSION);
export const BULK_EXTENSIONS: readonly string[] = [`${PREFIX}trace`, BASE_EXTENSION, PACKED_EXTENSION];

/** Name and payload of a message. Throws LIMIT_EXCEEDED when it does not fit one. */
export function encodeExtension(message: ExtensionMessage): { name: string; payload: Uint8Array } {
  const payload = payloadOf(message);
  if (payload.length > MAX_EXTENSION_BYTES) {
    throw new DiskswarmError('LIMIT_EXCEEDED', `a ${message.kind} message of ${payload.length} bytes`, {
      data: { kind: message.kind, lengthBytes: payload.length, maxBytes: MAX_EXTENSION_BYTES },
    });
  }
  return { name: PREFIX + message.kind, payload };
}

function payloadOf(message: ExtensionMessage): Uint8Array {
  switch (message.kind) {
    case 'roster':
      return message.bundle;
    case 'ownership':
    case 'migration':
      return message.message;
    case 'generation':
      return encode({
        epochs: message.epochs,
        id: idToBytes(message.generation),
        pieces: message.pieces,
        record: message.record,
        space: message.space,
      });
    case 'epochs':
      return encode({ epochs: message.epochs });
    case 'claims':
      return encode({ has: encodeRuns(message.has), lacks: encodeRuns(message.lacks), space: message.space });
    case 'path':
      return encode({
        level: message.fromLevel,
        piece: message.piece,
        request: message.request,
        root: idToBytes(message.root),
      });
    case 'pages':
      return encode({ pages: message.pages, request: message.request });
    case 'trace':
      return encode({ id: idToBytes(message.generation), trace: message.trace });
    case 'packing':
      return Uint8Array.of(message.compressed ? 1 : 0);
  }
}

function encode(fields: { readonly [key: string]: Canonical }): Uint8Array {
  return encodeCanonical(fields);
}

/** The message of a name and payload; views into `payload`. Throws FORMAT_INVALID. */
export function decodeExtension(name: string, payload: Uint8Array): ExtensionMessage {
  const kind = name.slice(PREFIX.length) as ExtensionMessage['kind'];
  if (kind === 'roster') return { kind, bundle: payload };
  if (kind === 'ownership' || kind === 'migration') return { kind, message: payload };
  const decode = (known: readonly string[]): RecordReader =>
    new RecordReader(decodeCanonical(payload, { maxBytes: MAX_EXTENSION_BYTES, what: name }), name, known);
  switch (kind) {
    case 'generation': {
      const fields = decode(['epochs', 'id', 'pieces', 'record', 'space']);
      return {
        kind,
        space: fields.integer('space', 0, INDEX_SPACE - 1),
        pieces: fields.integer('pieces', 1, MAX_PIECES),
        generation: idFromBytes<GenerationId>(fields.bytes('id', { length: ID_BYTES })),
        record: fields.bytes('record', { max: MAX_GENERATION_RECORD_BYTES }),
        epochs: epochRecords(fields),
      };
    }
    case 'epochs':
      return { kind, epochs: epochRecords(decode(['epochs'])) };
    case 'claims': {
      const fields = decode(['has', 'lacks', 'space']);
      const runs = (key: string): RangeSet =>
        decodeRuns(fields.bytes(key, { max: MAX_EXTENSION_BYTES }), { maxPieces: MAX_PIECES, maxRuns: MAX_CLAIM_RUNS });
      return { kind, space: fields.integer('space', 0, INDEX_SPACE - 1), has: runs('has'), lacks: runs('lacks') };
    }
    case 'path': {
      const fields = decode(['level', 'piece', 'request', 'root']);
      return {
        kind,
        request: fields.integer('request', 0, Number.MAX_SAFE_INTEGER),
        root: idFromBytes<ChunkId>(fields.bytes('root', { length: ID_BYTES })),
        piece: fields.integer('piece', 0, MAX_PIECES - 1) as PieceIndex,
        fromLevel: fields.integer('level', 0, MAX_PATH_PAGES - 1),
      };
    }
    case 'pages': {
      const fields = decode(['pages', 'request']);
      return {
        kind,
        request: fields.integer('request', 0, Number.MAX_SAFE_INTEGER),
        pages: byteStrings(fields, 'pages', MAX_PATH_PAGES, (bytes) => bytes.length === PAGE_BYTES),
      };
    }
    case 'trace': {
      const fields = decode(['id', 'trace']);
      return {
        kind,
        generation: idFromBytes<GenerationId>(fields.bytes('id', { length: ID_BYTES })),
        trace: fields.bytes('trace', { max: MAX_EXTENSION_BYTES }),
      };
    }
    case 'packing':
      if (payload.length !== 1 || payload[0]! > 1)
        throw new DiskswarmError('FORMAT_INVALID', `${name} is neither 0 nor 1`);
      return { kind, compressed: payload[0] === 1 };
    default:
      throw new DiskswarmError('FORMAT_INVALID', 'an unknown extension', { data: { name: name.slice(0, 40) } });
  }
}

function epochRecords(fields: RecordReader): Uint8Array[] {
  return byteStrings(fields, 'epochs', MAX_EPOCH_RECORDS, (bytes) => bytes.length <= MAX_EPOCH_RECORD_BYTES);
}

function byteStrings(
  fields: RecordReader,
  key: string,
  maxItems: number,
  accept: (bytes: Uint8Array) => boolean,
): Uint8Array[] {
  return fields.list(key, maxItems).map((item) => {
    if (item instanceof Uint8Array && accept(item)) return item;
    throw new DiskswarmError('FORMAT_INVALID', `"${key}" has an item that does not fit`, { data: { key } });
  });
}

/** A generation as messages that fit: epoch records beyond half of what one takes go ahead of it. */
export function* generationMessages(message: GenerationMessage): Generator<EpochsMessage | GenerationMessage, void> {
  let part: Uint8Array[] = [];
  let partBytes = 0;
  for (const epoch of message.epochs) {
    if (partBytes + epoch.length > MAX_EXTENSION_BYTES / 2) {
      yield { kind: 'epochs', epochs: part };
      part = [];
      partBytes = 0;
    }
    part.push(epoch);
    partBytes += epoch.length;
  }
  yield { ...message, epochs: part };
}

/** Claims of any size as messages that fit: each repeats the space and holds at most MAX_CLAIM_RUNS runs of a kind. */
export function* claimsMessages(space: number, has: RangeSet, lacks: RangeSet): Generator<ClaimsMessage, void> {
  const hasParts = [...has.parts(MAX_CLAIM_RUNS)];
  const lacksParts = [...lacks.parts(MAX_CLAIM_RUNS)];
  const count = Math.max(hasParts.length, lacksParts.length);
  for (let index = 0; index < count; index++) {
    yield { kind: 'claims', space, has: hasParts[index] ?? new RangeSet(), lacks: lacksParts[index] ?? new RangeSet() };
  }
}
