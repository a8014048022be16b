/**
 * Cuts an image into chunks: reads ahead, hashes each chunk once, stores what is new, and builds the manifest on the way.
 *
 * Two buffers take turns: one is read while the other is cut, so memory does not grow with the disk. Durability is the caller's: it syncs the store
 * before it records the generation.
 */

import { chunkIdOf, type Geometry } from '@diskswarm/chunk';
import { type ChunkId, type DiskId, MIB, type PageId, ZERO_ID } from '@diskswarm/core';
import { ManifestBuilder, type PageSink } from '@diskswarm/manifest';

const READ_BYTES = 4 * MIB;

/** An image to read: what image-source.ts opens. */
export interface ImportSource {
  readonly extents: readonly { readonly offsetBytes: number; readonly lengthBytes: number }[];
  read(into: Uint8Array, offsetBytes: number): Promise<void>;
}

/** Takes chunks; the views are only valid until the promise settles. */
export interface ImportStore {
  putMany(chunks: readonly { readonly id: ChunkId; readonly bytes: Uint8Array }[], disk: DiskId): Promise<void>;
}

export interface ImportResult {
  readonly root: PageId;
  readonly dataBytes: number;
}

/** A run of whole pieces that holds data. */
interface Span {
  readonly firstPiece: number;
  readonly pieces: number;
}

export async function importDisk(
  source: ImportSource,
  target: { geometry: Geometry; disk: DiskId; store: ImportStore; pages: PageSink },
  options: { signal: AbortSignal; onProgress(doneBytes: number): void },
): Promise<ImportResult> {
  const { geometry, disk, store, pages } = target;
  const builder = new ManifestBuilder({ pieces: geometry.pieces, sink: pages });
  const spans = [...spansOf(source, geometry)];
  const buffers = [new Uint8Array(READ_BYTES), new Uint8Array(READ_BYTES)];
  let dataBytes = 0;
  let reading = spans[0] === undefined ? undefined : readSpan(source, geometry, spans[0], buffers[0] as Uint8Array);
  for (let index = 0; index < spans.length; index++) {
    options.signal.throwIfAborted();
    const span = spans[index] as Span;
    const bytes = await (reading as Promise<Uint8Array>);
    const next = spans[index + 1];
    reading = next === undefined ? undefined : readSpan(source, geometry, next, buffers[(index + 1) % 2] as Uint8Array);
    reading?.catch(() => {}); // Reported when its turn comes.
    if (builder.position < span.firstPiece) await builder.addZeros(span.firstPiece - builder.position);
    const chunks: { id: ChunkId; bytes: Uint8Array }[] = [];
    for (let piece = 0; piece < span.pieces; piece++) {
      const chunk = bytes.subarray(piece * geometry.chunkSizeBytes, (piece + 1) * geometry.chunkSizeBytes);
      const id = chunkIdOf(chunk);
      if (id !== ZERO_ID) chunks.push({ id, bytes: chunk });
      const full = builder.add(id);
      if (full !== undefined) await full;
    }
    await store.putMany(chunks, disk);
    dataBytes += chunks.length * geometry.chunkSizeBytes;
    options.onProgress(Math.min(geometry.sizeBytes, (span.firstPiece + span.pieces) * geometry.chunkSizeBytes));
  }
  if (builder.position < geometry.pieces) await builder.addZeros(geometry.pieces - builder.position);
  options.onProgress(geometry.sizeBytes);
  return { root: await builder.finish(), dataBytes };
}

/** The extents rounded out to pieces, merged, and cut into what one buffer holds. */
function* spansOf(source: ImportSource, geometry: Geometry): Generator<Span> {
  const perRead = READ_BYTES / geometry.chunkSizeBytes;
  let reached = 0;
  for (const extent of source.extents) {
    const range = geometry.piecesIn(extent.offsetBytes, extent.lengthBytes);
    for (let piece = Math.max(reached, range.from); piece < range.to; piece += perRead) {
      yield { firstPiece: piece, pieces: Math.min(perRead, range.to - piece) };
    }
    reached = Math.max(reached, range.to);
  }
}

/** Reads a span into `buffer`; the end of the disk is padded with zeros to a whole chunk. */
async function readSpan(source: ImportSource, geometry: Geometry, span: Span, buffer: Uint8Array): Promise<Uint8Array> {
  const start = span.firstPiece * geometry.chunkSizeBytes;
  const view = buffer.subarray(0, span.pieces * geometry.chunkSizeBytes);
  const inside = Math.min(view.length, geometry.sizeBytes - start);
  await source.read(view.subarray(0, inside), start);
  view.fill(0, inside);
  return view;
}
