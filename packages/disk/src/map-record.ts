/**
 * The records of a layer's map journal, byte-exact, little-endian. The journal frames and checks them.
 *
 * header  1: u8 1, u8 version, u16 0, u32 layer, u64 disk size, u64 epoch, disk id 32, base generation 32    (always first)
 * session 2: u8 2, u24 0, u32 0, u64 run records that stay valid, boot 32                                      (one per opening)
 * runs    3: u8 3, u8 0, u16 n, n × { u32 first low, u16 first high, u16 state (1 data, 2 hole), u32 count }
 * flushed 4: u8 4, u24 0, u32 0, u64 run records whose data is durable
 * rebased 5: u8 5, u24 0, u32 dropped through layer, base generation 32
 *
 * Run records are counted from the start of the journal; session and flushed speak in that count (see layer-replay.ts).
 */
import { type DiskId, DiskswarmError, type GenerationId, idFromBytes, idToBytes } from '@diskswarm/core';
import { BLOCK, type BlockRun, type MappedState } from './block-map.ts';

/** Version of the map format. */
export const MAP_VERSION = 1;
/** Tag of the journal that holds a map. */
export const MAP_KIND = 'OVERLMAP';
/** Most runs in one record. */
export const MAX_RUNS = 1024;
const RUN_BYTES = 12;
/** Largest record of a map. */
export const MAX_MAP_RECORD_BYTES = 4 + MAX_RUNS * RUN_BYTES;
const BOOT_BYTES = 32;

const HEADER_BYTES = 88;

/** What a layer is a layer of. */
export interface LayerHeader {
  /** Number of the layer in its overlay, from 0. */
  readonly layer: number;
  readonly sizeBytes: number;
  readonly epoch: number;
  readonly disk: DiskId;
  /** The sealed generation under the lowest layer when this one was made. */
  readonly base: GenerationId;
}

export type MapRecord =
  | { readonly type: 'header'; readonly header: LayerHeader }
  | { readonly type: 'session'; readonly valid: number; readonly boot: Uint8Array }
  | { readonly type: 'runs'; readonly runs: readonly BlockRun[] }
  | { readonly type: 'flushed'; readonly through: number }
  | { readonly type: 'rebased'; readonly droppedThrough: number; readonly base: GenerationId };

/** Bytes of a record; a runs record has 1 to `MAX_RUNS` runs. */
export function encodeMapRecord(record: MapRecord): Uint8Array {
  switch (record.type) {
    case 'header':
      return encodeHeader(record.header);
    case 'session': {
      const bytes = Buffer.alloc(16 + BOOT_BYTES);
      bytes[0] = 2;
      bytes.writeBigUInt64LE(BigInt(record.valid), 8);
      bytes.set(record.boot, 16);
      return bytes;
    }
    case 'runs':
      return encodeRuns(record.runs);
    case 'flushed': {
      const bytes = Buffer.alloc(16);
      bytes[0] = 4;
      bytes.writeBigUInt64LE(BigInt(record.through), 8);
      return bytes;
    }
    case 'rebased': {
      const bytes = Buffer.alloc(40);
      bytes[0] = 5;
      bytes.writeUInt32LE(record.droppedThrough, 4);
      bytes.set(idToBytes(record.base), 8);
      return bytes;
    }
  }
}

/** The record in `bytes` (nothing of which is kept); FORMAT_INVALID on anything that `encodeMapRecord` does not make. */
export function decodeMapRecord(bytes: Uint8Array): MapRecord {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expect = (lengthBytes: number): void => {
    if (view.length !== lengthBytes) refuse('a record has the wrong length');
  };
  if (view.length < 4) refuse('a record is too short');
  if (view[0] === 3) return { type: 'runs', runs: decodeRuns(view) };
  if (view[0] === 1) {
    expect(HEADER_BYTES);
    return { type: 'header', header: decodeHeader(view) };
  }
  if (view[1] !== 0 || view[2] !== 0 || view[3] !== 0) refuse('a reserved field is not zero');
  switch (view[0]) {
    case 2:
      expect(16 + BOOT_BYTES);
      if (view.readUInt32LE(4) !== 0) refuse('a reserved field is not zero');
      return { type: 'session', valid: readCount(view, 8), boot: Uint8Array.from(view.subarray(16)) };
    case 4:
      expect(16);
      if (view.readUInt32LE(4) !== 0) refuse('a reserved field is not zero');
      return { type: 'flushed', through: readCount(view, 8) };
    case 5:
      expect(40);
      return { type: 'rebased', droppedThrough: view.readUInt32LE(4), base: idFromBytes<GenerationId>(view, 8) };
    default:
      return refuse(`unknown record ${view[0]}`);
  }
}

function encodeHeader(header: LayerHeader): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes[0] = 1;
  bytes[1] = MAP_VERSION;
  bytes.writeUInt32LE(header.layer, 4);
  bytes.writeBigUInt64LE(BigInt(header.sizeBytes), 8);
  bytes.writeBigUInt64LE(BigInt(header.epoch), 16);
  bytes.set(idToBytes(header.disk), 24);
  bytes.set(idToBytes(header.base), 56);
  return bytes;
}

function decodeHeader(view: Buffer): LayerHeader {
  if (view[1] !== MAP_VERSION) {
    throw new DiskswarmError('STATE_VERSION', `overlay map version ${view[1]}, this program knows ${MAP_VERSION}`, {
      data: { version: view[1] },
    });
  }
  if (view.readUInt16LE(2) !== 0) refuse('a reserved field is not zero');
  return {
    layer: view.readUInt32LE(4),
    sizeBytes: readCount(view, 8),
    epoch: readCount(view, 16),
    disk: idFromBytes<DiskId>(view, 24),
    base: idFromBytes<GenerationId>(view, 56),
  };
}

function encodeRuns(runs: readonly BlockRun[]): Uint8Array {
  if (runs.length < 1 || runs.length > MAX_RUNS) throw new RangeError(`${runs.length} runs in a record`);
  const bytes = Buffer.allocUnsafe(4 + runs.length * RUN_BYTES);
  bytes[0] = 3;
  bytes[1] = 0;
  bytes.writeUInt16LE(runs.length, 2);
  let offset = 4;
  for (const run of runs) {
    bytes.writeUInt32LE(run.first % 2 ** 32, offset);
    bytes.writeUInt16LE(Math.floor(run.first / 2 ** 32), offset + 4);
    bytes.writeUInt16LE(run.state, offset + 6);
    bytes.writeUInt32LE(run.count, offset + 8);
    offset += RUN_BYTES;
  }
  return bytes;
}

function decodeRuns(view: Buffer): BlockRun[] {
  const length = view.readUInt16LE(2);
  if (view[1] !== 0 || length < 1 || length > MAX_RUNS || view.length !== 4 + length * RUN_BYTES)
    refuse('malformed runs');
  const runs: BlockRun[] = [];
  for (let offset = 4; offset < view.length; offset += RUN_BYTES) {
    const state = view.readUInt16LE(offset + 6);
    const count = view.readUInt32LE(offset + 8);
    if ((state !== BLOCK.data && state !== BLOCK.hole) || count === 0) refuse('malformed run');
    const first = view.readUInt32LE(offset) + view.readUInt16LE(offset + 4) * 2 ** 32;
    runs.push({ first, count, state: state as MappedState });
  }
  return runs;
}

function readCount(view: Buffer, offset: number): number {
  const value = Number(view.readBigUInt64LE(offset));
  return Number.isSafeInteger(value) ? value : refuse('a number is too large');
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `overlay map: ${why}`, { data: { what: 'overlay map' } });
}
