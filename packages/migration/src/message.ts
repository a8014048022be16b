/**
 * What the two agents of a live migration say to each other, encoded canonically. Pure.
 *
 * Messages travel over the channel of the machine's first disk, so who speaks is known and is a member of that disk. Order holds within a connection;
 * a lost connection loses messages, and with them a migration that has not committed. Generations are named here and travel as generations do.
 */
import {
  type Canonical,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  fromHex,
  type GenerationId,
  idFromBytes,
  idToBytes,
  RecordReader,
  toHex,
} from '@diskswarm/core';
import { readStatistics, STATISTICS_FIELDS, type Statistics, statisticsFields } from './statistics.ts';

/** Largest encoded message, in bytes. */
export const MAX_MIGRATION_MESSAGE_BYTES = 64 * 1024;
/** A machine's definition inside a message. */
export const MAX_DEFINITION_BYTES = 48 * 1024;
/** Disks of one machine. */
export const MAX_MIGRATION_DISKS = 16;
const MAX_TEXT_BYTES = 512;

/** How the disks follow: all of it before the pause ends, the rest as faults, or all of it afterwards. */
export type DiskMode = 'precopy' | 'hybrid' | 'postcopy';
export const DISK_MODES: readonly DiskMode[] = ['precopy', 'hybrid', 'postcopy'];

/** Whether the guest goes on at the destination when all of its memory is there, or before. */
export type MemoryMode = 'precopy' | 'postcopy';

interface OfMigration {
  /** 16 random bytes, hex: names this attempt. */
  readonly migration: string;
}
/** "Can this machine run at your place?" `definition` is opaque here. */
export interface Prepare extends OfMigration {
  readonly kind: 'prepare';
  readonly definition: Uint8Array;
  /** Version of the source's QEMU, for the destination's message. */
  readonly qemuVersion: string;
  readonly diskMode: DiskMode;
  /** The source understands `statistics`; it is not told any otherwise. */
  readonly statistics?: true;
}
export interface Prepared extends OfMigration {
  readonly kind: 'prepared';
}
/** The answer to prepare, or the end at the destination; `code` is a stable error code. */
export interface Refused extends OfMigration {
  readonly kind: 'refused';
  readonly code: string;
  readonly message: string;
}
/** A round was sealed; the generations are in the order of the machine's disks. */
export interface Round extends OfMigration {
  readonly kind: 'round';
  readonly round: number;
  readonly generations: readonly GenerationId[];
}
/** How much of a round the destination misses still; `known` once it has the whole manifest. */
export interface Progress extends OfMigration {
  readonly kind: 'progress';
  readonly round: number;
  readonly known: boolean;
  readonly missingBytes: number;
}
/** "Let your QEMU listen for the memory." */
export interface OpenMemory extends OfMigration {
  readonly kind: 'openMemory';
  /** Connections of multifd; 0 for one plain connection. */
  readonly channels: number;
  readonly compress: boolean;
  /** The guest may go on here before all of its memory is. */
  readonly postcopy: boolean;
}
/** The final generations: kept ones. */
export interface Final extends OfMigration {
  readonly kind: 'final';
  readonly generations: readonly GenerationId[];
}
/** What came to the destination so far: about once a second, and once more when all is there. */
export interface StatisticsMessage extends OfMigration, Statistics {
  readonly kind: 'statistics';
}
/** Words without content. */
export interface Word extends OfMigration {
  readonly kind: 'memoryReady' | 'finalReady' | 'confirmed' | 'running';
}
/** The source takes it back: nothing was given away. */
export interface Cancel extends OfMigration {
  readonly kind: 'cancel';
  readonly code: string;
  readonly message: string;
}

export type MigrationMessage =
  | Prepare
  | Prepared
  | Refused
  | Round
  | Progress
  | OpenMemory
  | Final
  | StatisticsMessage
  | Word
  | Cancel;

/** Passed over by agents that know no statistics. */
const STATISTICS_WANTED = 'x-statistics';
const WORDS = ['prepared', 'memoryReady', 'finalReady', 'confirmed', 'running'];
const FIELDS: { readonly [kind: string]: readonly string[] } = {
  prepare: ['definition', 'qemu', 'mode', STATISTICS_WANTED],
  refused: ['code', 'message'],
  cancel: ['code', 'message'],
  round: ['round', 'generations'],
  progress: ['round', 'known', 'missing'],
  openMemory: ['channels', 'compress', 'postcopy'],
  final: ['generations'],
  statistics: STATISTICS_FIELDS,
  ...Object.fromEntries(WORDS.map((word) => [word, []])),
};

/** Canonical bytes of a message; texts are cut. LIMIT_EXCEEDED for a definition that is too large. */
export function encodeMigrationMessage(message: MigrationMessage): Uint8Array {
  const fields: { [key: string]: Canonical } = { kind: message.kind, migration: fromHex(message.migration) };
  switch (message.kind) {
    case 'prepare':
      if (message.definition.length > MAX_DEFINITION_BYTES)
        throw new DiskswarmError('LIMIT_EXCEEDED', 'the definition of the machine is too large', {
          data: { lengthBytes: message.definition.length, maxBytes: MAX_DEFINITION_BYTES },
        });
      fields.definition = message.definition;
      fields.qemu = message.qemuVersion.slice(0, 64);
      fields.mode = message.diskMode;
      if (message.statistics) fields[STATISTICS_WANTED] = 1;
      break;
    case 'refused':
    case 'cancel':
      fields.code = message.code.slice(0, 64);
      fields.message = cut(message.message);
      break;
    case 'round':
      fields.round = message.round;
      fields.generations = message.generations.map((id) => idToBytes(id));
      break;
    case 'final':
      fields.generations = message.generations.map((id) => idToBytes(id));
      break;
    case 'progress':
      fields.round = message.round;
      fields.known = message.known ? 1 : 0;
      fields.missing = message.missingBytes;
      break;
    case 'statistics':
      Object.assign(fields, statisticsFields(message));
      break;
    case 'openMemory':
      fields.channels = message.channels;
      fields.compress = message.compress ? 1 : 0;
      fields.postcopy = message.postcopy ? 1 : 0;
      break;
  }
  return encodeCanonical(fields);
}

/** Parses a message (arrays are copies); FORMAT_INVALID on anything else. */
export function decodeMigrationMessage(bytes: Uint8Array): MigrationMessage {
  const what = 'message of a migration';
  const value = decodeCanonical(bytes.slice(), { maxBytes: MAX_MIGRATION_MESSAGE_BYTES, what });
  const all = ['kind', 'migration', ...new Set(Object.values(FIELDS).flat())];
  const kind = new RecordReader(value, what, all).text('kind', 16) as MigrationMessage['kind'];
  if (!Object.hasOwn(FIELDS, kind)) throw new DiskswarmError('FORMAT_INVALID', `${what}: of an unknown kind`);
  const reader = new RecordReader(value, what, ['kind', 'migration', ...FIELDS[kind]!]);
  const migration = toHex(reader.bytes('migration', { length: 16 }));
  const generations = (): GenerationId[] =>
    reader.list('generations', MAX_MIGRATION_DISKS).map((item) => {
      if (item instanceof Uint8Array && item.length === 32) return idFromBytes<GenerationId>(item);
      throw new DiskswarmError('FORMAT_INVALID', `${what}: a malformed id of a generation`);
    });
  switch (kind) {
    case 'prepare': {
      const mode = reader.text('mode', 16);
      const diskMode = DISK_MODES.find((known) => known === mode);
      if (diskMode === undefined) throw new DiskswarmError('FORMAT_INVALID', `${what}: an unknown mode`);
      const definition = reader.bytes('definition', { max: MAX_DEFINITION_BYTES });
      const statistics = reader.has(STATISTICS_WANTED) ? ({ statistics: true } as const) : {};
      return { kind, migration, definition, qemuVersion: reader.text('qemu', 64), diskMode, ...statistics };
    }
    case 'refused':
    case 'cancel':
      return { kind, migration, code: reader.text('code', 64), message: reader.text('message', MAX_TEXT_BYTES) };
    case 'round':
      return { kind, migration, round: reader.integer('round', 1, 1_000_000), generations: generations() };
    case 'final':
      return { kind, migration, generations: generations() };
    case 'progress':
      return {
        kind,
        migration,
        round: reader.integer('round', 1, 1_000_000),
        known: reader.integer('known', 0, 1) === 1,
        missingBytes: reader.integer('missing', 0, Number.MAX_SAFE_INTEGER),
      };
    case 'statistics':
      return { kind, migration, ...readStatistics(reader, what) };
    case 'openMemory':
      return {
        kind,
        migration,
        channels: reader.integer('channels', 0, 16),
        compress: reader.integer('compress', 0, 1) === 1,
        postcopy: reader.integer('postcopy', 0, 1) === 1,
      };
    default:
      return { kind, migration };
  }
}

function cut(text: string): string {
  let end = Math.min(text.length, MAX_TEXT_BYTES);
  while (Buffer.byteLength(text.slice(0, end)) > MAX_TEXT_BYTES) end--;
  return text.slice(0, end);
}
