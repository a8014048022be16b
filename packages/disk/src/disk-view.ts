/**
 * A disk as its guest sees it: the overlay over the sealed generation, behind the fence of the attachment.
 *
 * Whole blocks are written at once, whatever is known of the base; a block written in part needs the rest of it and may wait.
 * Order: operations take effect in the order of the calls, also where one has to wait and a later one does not (pending-block.ts,
 * write-queue.ts). Leaves to others: the NBD session, which pieces to fetch (resolver), when to seal. Nothing is acknowledged
 * before `commit`; what had to wait commits itself.
 */
import type { Geometry } from '@diskswarm/chunk';
import {
  type Backing,
  BLOCK_BYTES,
  DiskswarmError,
  type PieceIndex,
  type StatusContext,
  type StatusExtent,
} from '@diskswarm/core';
import { applyAttachment, type Attachment, assertReadable, assertWritable } from './attachment.ts';
import { BLOCK } from './block-map.ts';
import { blockStatus } from './block-status.ts';
import type { Layer } from './layer.ts';
import type { Overlay } from './overlay.ts';
import { PendingBlock } from './pending-block.ts';
import type { PieceTable } from './piece-table.ts';
import { WriteQueue } from './write-queue.ts';

const BLOCK_MASK = BLOCK_BYTES - 1;
/** Zeros are written in steps of this size when a client wants them allocated. */
const ZERO_STEP_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(ZERO_STEP_BYTES);

export interface DiskViewOptions {
  readonly geometry: Geometry;
  readonly pieces: PieceTable;
  /** Null for a read-only attachment, and for an incoming one until it is accepted. */
  readonly overlay: Overlay | null;
  readonly attachment: Attachment;
}

export class DiskView implements Backing {
  readonly sizeBytes: number;
  readonly geometry: Geometry;
  readonly #pieces: PieceTable;
  readonly #pending = new Map<number, PendingBlock>();
  readonly #queue = new WriteQueue();
  readonly #waiting = new Set<Promise<void>>();
  readonly #scratch = new Uint8Array(BLOCK_BYTES);
  #overlay: Overlay | null;
  #attachment: Attachment;
  #mayWrite: boolean;
  #fenced: boolean;

  constructor({ geometry, pieces, overlay, attachment }: DiskViewOptions) {
    this.sizeBytes = geometry.sizeBytes;
    this.geometry = geometry;
    this.#pieces = pieces;
    this.#overlay = overlay;
    this.#attachment = attachment;
    this.#mayWrite = attachment.kind === 'writable';
    this.#fenced = attachment.kind === 'fenced';
    if (this.#mayWrite && overlay === null) throw new Error('a writable attachment needs an overlay');
  }

  get readOnly(): boolean {
    return this.#attachment.kind === 'read-only';
  }

  get attachment(): Attachment {
    return this.#attachment;
  }

  get overlay(): Overlay | null {
    return this.#overlay;
  }

  /** The acceptance of `epoch` is durable: an incoming attachment takes writes into `overlay` from now on. Throws ATTACHMENT_STATE. */
  accept(epoch: number, overlay: Overlay): void {
    this.#apply({ type: 'accept', epoch }, overlay);
  }

  /** Refuses new writes; those under way go on, see `drain`. Throws ATTACHMENT_STATE. */
  hold(): void {
    this.#apply({ type: 'hold' });
  }

  /** Takes writes again after `hold`. Throws ATTACHMENT_STATE. */
  resume(): void {
    this.#apply({ type: 'resume' });
  }

  /** Serves nothing any more, for good; what waits is rejected. */
  fence(): void {
    this.#apply({ type: 'fence' });
    for (const pending of [...this.#pending.values()]) {
      this.#pending.delete(pending.block);
      pending.cancel();
      pending.reject(new DiskswarmError('ATTACHMENT_STATE', 'the attachment was fenced', { data: { state: 'fenced' } }));
    }
  }

  /** Resolves when no write is under way. Waits as long as a partial write waits for its block. */
  async drain(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.allSettled(this.#waiting);
  }

  /** A sealed generation lies below now; these leaves of its manifest changed. Call before `Overlay.dropFrozen`. */
  rebase(changedLeaves: Iterable<number>): void {
    this.#pieces.invalidate(changedLeaves);
  }

  readSync(offsetBytes: number, into: Uint8Array): boolean {
    this.#assertServing();
    const overlay = this.#overlay;
    if (overlay === null) return this.#pieces.readSync(offsetBytes, into);
    const within = offsetBytes & BLOCK_MASK;
    if (within + into.length <= BLOCK_BYTES) {
      const block = (offsetBytes - within) / BLOCK_BYTES;
      const state = overlay.find(block, block + 1);
      if (state === BLOCK.unmapped) return this.#pieces.readSync(offsetBytes, into);
      return readLayerSync(overlay.foundLayer, state, offsetBytes, into);
    }
    const end = offsetBytes + into.length;
    const endBlock = Math.ceil(end / BLOCK_BYTES);
    for (let position = offsetBytes; position < end; ) {
      const state = overlay.find(Math.floor(position / BLOCK_BYTES), endBlock);
      const stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      const part = into.subarray(position - offsetBytes, stop - offsetBytes);
      const filled =
        state === BLOCK.unmapped
          ? this.#pieces.readSync(position, part)
          : readLayerSync(overlay.foundLayer, state, position, part);
      if (!filled) return false;
      position = stop;
    }
    return true;
  }

  async read(offsetBytes: number, into: Uint8Array, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#assertServing();
    const overlay = this.#overlay;
    if (overlay === null) return this.#readBase(offsetBytes, into, signal);
    const waits: Promise<void>[] = [];
    const end = offsetBytes + into.length;
    const endBlock = Math.ceil(end / BLOCK_BYTES);
    for (let position = offsetBytes; position < end; ) {
      const state = overlay.find(Math.floor(position / BLOCK_BYTES), endBlock);
      const layer = overlay.foundLayer;
      let stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      // Warm and cold blocks of one layer are read together.
      while (state % 2 === 1 && stop < end) {
        const next = overlay.find(stop / BLOCK_BYTES, endBlock);
        if (next % 2 === 0 || overlay.foundLayer !== layer) break;
        stop = Math.min(end, overlay.foundEnd * BLOCK_BYTES);
      }
      const part = into.subarray(position - offsetBytes, stop - offsetBytes);
      if (state === BLOCK.hole) part.fill(0);
      else if (state === BLOCK.unmapped) waits.push(this.#readBase(position, part, signal));
      else waits.push(this.#readLayer(overlay, layer, position, part));
      position = stop;
    }
    await Promise.all(waits);
  }

  write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    const overlay = this.#assertWritable();
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#write(offsetBytes, data, true));
    if (data.length === BLOCK_BYTES && (offsetBytes & BLOCK_MASK) === 0) {
      if (overlay.top.map.get(offsetBytes / BLOCK_BYTES) === BLOCK.warm) return overlay.overwrite(data, offsetBytes);
    }
    const waiting = this.#write(offsetBytes, data, false);
    return waiting === undefined ? undefined : this.#track(waiting);
  }

  /** Whole blocks become holes; what lies beside them is left as it is. */
  trim(offsetBytes: number, lengthBytes: number): void | Promise<void> {
    this.#assertWritable();
    const { first, end } = this.#wholeBlocks(offsetBytes, offsetBytes + lengthBytes);
    if (first >= end) return;
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#punch(first, end - first));
    this.#punch(first, end - first);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, { keepAllocated }: { keepAllocated: boolean }): void | Promise<void> {
    this.#assertWritable();
    if (keepAllocated) return this.#track(this.#writeAllocatedZeros(offsetBytes, lengthBytes));
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#writeHoles(offsetBytes, lengthBytes, true));
    const waiting = this.#writeHoles(offsetBytes, lengthBytes, false);
    return waiting === undefined ? undefined : this.#track(waiting);
  }

  commit(): void {
    this.#assertServing();
    this.#overlay?.commit();
  }

  async flush(): Promise<void> {
    this.#assertServing();
    await this.#overlay?.flush();
  }

  prefetch(offsetBytes: number, lengthBytes: number): void {
    this.#assertServing();
    const { from, to } = this.geometry.piecesIn(offsetBytes, lengthBytes);
    for (let piece = from as number; piece < to; piece++) {
      const first = (piece * this.geometry.chunkSizeBytes) / BLOCK_BYTES;
      const end = Math.ceil((first * BLOCK_BYTES + this.geometry.lengthOf(piece as PieceIndex)) / BLOCK_BYTES);
      if (!this.#isCovered(first, end)) this.#pieces.prefetch(piece as PieceIndex);
    }
  }

  async status(offsetBytes: number, lengthBytes: number, context: StatusContext, maxExtents: number): Promise<StatusExtent[]> {
    this.#assertServing();
    const disk = { geometry: this.geometry, overlay: this.#overlay, pieces: this.#pieces };
    return blockStatus(disk, { offsetBytes, lengthBytes }, context, maxExtents);
  }

  /** `final`: the free space was looked at just now, a refusal stands. */
  #write(offsetBytes: number, data: Uint8Array, final: boolean): void | Promise<void> {
    const overlay = this.#assertAlive();
    const end = offsetBytes + data.length;
    const firstBlock = Math.floor(offsetBytes / BLOCK_BYTES);
    const blockCount = Math.ceil(end / BLOCK_BYTES) - firstBlock;
    if (blockCount === 0) return;
    if (!overlay.admit(firstBlock, blockCount)) {
      if (final) throw fullError(this.sizeBytes);
      return this.#afterLookingForSpace(() => this.#write(offsetBytes, data, true));
    }
    const whole = this.#wholeBlocks(offsetBytes, end);
    const headEnd = Math.min(end, whole.first * BLOCK_BYTES);
    const tailStart = Math.max(headEnd, whole.end * BLOCK_BYTES);
    let head: void | Promise<void> = undefined;
    let tail: void | Promise<void> = undefined;
    if (offsetBytes < headEnd) head = this.#writePart(offsetBytes, data.subarray(0, headEnd - offsetBytes));
    if (whole.first < whole.end) {
      const middle = data.subarray(headEnd - offsetBytes, Math.min(end, tailStart) - offsetBytes);
      overlay.writeBlocks(whole.first, whole.end - whole.first, middle);
      this.#supersede(whole.first, whole.end);
    }
    if (tailStart < end) tail = this.#writePart(tailStart, data.subarray(tailStart - offsetBytes));
    return both(head, tail);
  }

  #writeHoles(offsetBytes: number, lengthBytes: number, final: boolean): void | Promise<void> {
    const overlay = this.#assertAlive();
    const end = offsetBytes + lengthBytes;
    if (lengthBytes === 0) return;
    const whole = this.#wholeBlocks(offsetBytes, end);
    const headEnd = Math.min(end, whole.first * BLOCK_BYTES);
    const tailStart = Math.max(headEnd, whole.end * BLOCK_BYTES);
    const headFits = offsetBytes >= headEnd || overlay.admit(whole.first - 1, 1);
    const tailFits = tailStart >= end || overlay.admit(Math.floor(tailStart / BLOCK_BYTES), 1);
    if (!headFits || !tailFits) {
      if (final) throw fullError(this.sizeBytes);
      return this.#afterLookingForSpace(() => this.#writeHoles(offsetBytes, lengthBytes, true));
    }
    let head: void | Promise<void> = undefined;
    let tail: void | Promise<void> = undefined;
    if (offsetBytes < headEnd) head = this.#writePart(offsetBytes, ZEROS.subarray(0, headEnd - offsetBytes));
    if (whole.first < whole.end) this.#punch(whole.first, whole.end - whole.first);
    if (tailStart < end) tail = this.#writePart(tailStart, ZEROS.subarray(0, end - tailStart));
    return both(head, tail);
  }

  /** In steps, other requests in between; writes wait their turn. */
  async #writeAllocatedZeros(offsetBytes: number, lengthBytes: number): Promise<void> {
    const end = offsetBytes + lengthBytes;
    const waits: Promise<void>[] = [];
    await this.#queue.step(async () => {
      let position = offsetBytes;
      while (position < end) {
        const stop = Math.min(end, position - (position % ZERO_STEP_BYTES) + ZERO_STEP_BYTES);
        await this.#assertAlive().refreshSpace();
        const waiting = this.#write(position, ZEROS.subarray(0, stop - position), true);
        if (waiting !== undefined) {
          waiting.catch(() => {});
          waits.push(waiting);
        }
        position = stop;
      }
    });
    await Promise.all(waits);
    this.commit();
  }

  /** Part of one block; the rest of it stays what it is. */
  #writePart(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    const overlay = this.#assertAlive();
    const block = Math.floor(offsetBytes / BLOCK_BYTES);
    const start = block * BLOCK_BYTES;
    const running = this.#pending.get(block);
    if (running !== undefined) {
      running.put(offsetBytes - start, data);
      return running.done;
    }
    if (overlay.top.map.get(block) % 2 === 1) return overlay.overwrite(data, offsetBytes);
    const lengthBytes = Math.min(BLOCK_BYTES, this.sizeBytes - start);
    const whole = this.#scratch.subarray(0, lengthBytes);
    if (this.readSync(start, whole)) {
      whole.set(data, offsetBytes - start);
      overlay.writeBlocks(block, 1, whole);
      return;
    }
    const pending = new PendingBlock(block, lengthBytes);
    pending.put(offsetBytes - start, data);
    this.#pending.set(block, pending);
    void this.#complete(pending);
    return pending.done;
  }

  async #complete(pending: PendingBlock): Promise<void> {
    const isCurrent = (): boolean => this.#pending.get(pending.block) === pending;
    try {
      await this.read(pending.block * BLOCK_BYTES, pending.below, { signal: pending.signal });
      if (!isCurrent()) return;
      const overlay = this.#assertAlive();
      overlay.writeBlocks(pending.block, 1, pending.merge());
      this.#pending.delete(pending.block);
      overlay.commit();
      pending.resolve();
    } catch (error) {
      if (isCurrent()) this.#pending.delete(pending.block);
      pending.reject(error);
    }
  }

  #punch(first: number, count: number): void {
    this.#assertAlive().punch(first, count);
    this.#supersede(first, first + count);
  }

  /** These blocks were overwritten whole: partial writes that waited for them, and loads of whole pieces, have lost their purpose. */
  #supersede(first: number, end: number): void {
    if (this.#pending.size > 0) {
      const replaced = [...this.#pending.values()].filter(({ block }) => block >= first && block < end);
      for (const pending of replaced) this.#pending.delete(pending.block);
      if (replaced.length > 0) this.commit();
      for (const pending of replaced) {
        pending.cancel();
        pending.resolve();
      }
    }
    if (this.#pieces.loading === 0) return;
    const blocksPerPiece = this.geometry.chunkSizeBytes / BLOCK_BYTES;
    const endPiece = end * BLOCK_BYTES >= this.sizeBytes ? this.geometry.pieces : Math.floor(end / blocksPerPiece);
    this.#pieces.supersede(Math.ceil(first / blocksPerPiece), endPiece);
  }

  async #readBase(offsetBytes: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    if (await this.#pieces.read(offsetBytes, into, { signal })) return;
    await this.read(offsetBytes, into, { signal });
  }

  async #readLayer(overlay: Overlay, layer: Layer, positionBytes: number, into: Uint8Array): Promise<void> {
    await layer.read(into, positionBytes);
    const first = Math.floor(positionBytes / BLOCK_BYTES);
    overlay.noteRead(layer, first, Math.ceil((positionBytes + into.length) / BLOCK_BYTES) - first);
  }

  /** Behind the writes that wait; committed when it resolves. */
  #inTurn(operation: () => void | Promise<void>): Promise<void> {
    return this.#track(this.#queue.run(operation).then(() => this.commit()));
  }

  /** Tries once more with fresh figures; all writes that come meanwhile wait behind this one. */
  async #afterLookingForSpace(operation: () => void | Promise<void>): Promise<void> {
    const looked = this.#queue.step(() => this.#assertAlive().refreshSpace());
    const done = this.#queue.run(operation);
    await Promise.all([looked, done]);
    this.commit();
  }

  /** The blocks that lie wholly in the range; the short last block of a disk counts as whole. */
  #wholeBlocks(offsetBytes: number, endBytes: number): { first: number; end: number } {
    const end = endBytes === this.sizeBytes ? Math.ceil(endBytes / BLOCK_BYTES) : Math.floor(endBytes / BLOCK_BYTES);
    return { first: Math.ceil(offsetBytes / BLOCK_BYTES), end };
  }

  #isCovered(firstBlock: number, endBlock: number): boolean {
    const overlay = this.#overlay;
    if (overlay === null) return false;
    for (let block = firstBlock; block < endBlock; block = overlay.foundEnd) {
      if (overlay.find(block, endBlock) === BLOCK.unmapped) return false;
    }
    return true;
  }

  #track(waiting: Promise<void>): Promise<void> {
    this.#waiting.add(waiting);
    const forget = (): void => void this.#waiting.delete(waiting);
    waiting.then(forget, forget);
    return waiting;
  }

  #apply(event: Parameters<typeof applyAttachment>[1], overlay: Overlay | null = this.#overlay): void {
    this.#attachment = applyAttachment(this.#attachment, event);
    this.#overlay = overlay;
    this.#mayWrite = this.#attachment.kind === 'writable';
    this.#fenced = this.#attachment.kind === 'fenced';
  }

  #assertServing(): void {
    if (this.#fenced) assertReadable(this.#attachment);
    const failure = this.#overlay?.failure ?? null;
    if (failure !== null) throw failure;
  }

  #assertWritable(): Overlay {
    if (!this.#mayWrite) assertWritable(this.#attachment);
    return this.#assertAlive();
  }

  /** For writes that were taken before: holding does not stop them, fencing and failure do. */
  #assertAlive(): Overlay {
    this.#assertServing();
    if (this.#overlay === null) throw new Error('no overlay to write to');
    return this.#overlay;
  }
}

function readLayerSync(layer: Layer, state: number, positionBytes: number, into: Uint8Array): boolean {
  if (state === BLOCK.hole) {
    into.fill(0);
    return true;
  }
  return state === BLOCK.warm && layer.data.readSync(into, positionBytes) === into.length;
}

function both(a: void | Promise<void>, b: void | Promise<void>): void | Promise<void> {
  if (a === undefined) return b;
  return b === undefined ? a : Promise.all([a, b]).then(() => {});
}

function fullError(sizeBytes: number): DiskswarmError {
  return new DiskswarmError('DISK_FULL', 'the state folder has no room for new data; overwriting and trimming still work', {
    data: { sizeBytes },
  });
}
