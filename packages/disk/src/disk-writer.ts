/**
 * Writes, discards and zeroes of a guest, in the order of the calls.
 *
 * Whole blocks are written at once, whatever is known of the base; a block written in part needs the rest of it and may wait.
 * Later operations overtake none that waits: they join it, replace it (pending-block.ts) or queue behind it (write-queue.ts).
 * Leaves to others: who may write (disk-view.ts), where bytes go (overlay.ts). What had to wait commits itself.
 */
import type { Geometry } from '@diskswarm/chunk';
import { BLOCK_BYTES, DiskswarmError } from '@diskswarm/core';
import { BLOCK } from './block-map.ts';
import type { DiskReader } from './disk-reader.ts';
import type { Overlay } from './overlay.ts';
import { PendingBlock } from './pending-block.ts';
import type { PieceTable } from './piece-table.ts';
import { WriteQueue } from './write-queue.ts';

const BLOCK_MASK = BLOCK_BYTES - 1;
/** Zeros are written in steps of this size when a client wants them allocated. */
const ZERO_STEP_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(ZERO_STEP_BYTES);

/** What an operation still waits for; undefined when it is done. */
type Waiting = Promise<void> | undefined;

export class DiskWriter {
  readonly #geometry: Geometry;
  readonly #pieces: PieceTable;
  readonly #reader: DiskReader;
  readonly #overlay: Overlay;
  /** Throws when what was taken before may not go on: fenced, or the overlay failed. */
  readonly #assertAlive: () => void;
  readonly #pending = new Map<number, PendingBlock>();
  readonly #queue = new WriteQueue();
  readonly #waiting = new Set<Promise<void>>();
  readonly #scratch = new Uint8Array(BLOCK_BYTES);

  constructor(geometry: Geometry, pieces: PieceTable, reader: DiskReader, overlay: Overlay, assertAlive: () => void) {
    this.#geometry = geometry;
    this.#pieces = pieces;
    this.#reader = reader;
    this.#overlay = overlay;
    this.#assertAlive = assertAlive;
  }

  /** See `Backing.write`. */
  write(offsetBytes: number, data: Uint8Array): Waiting {
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#write(offsetBytes, data, true));
    if (data.length === BLOCK_BYTES && (offsetBytes & BLOCK_MASK) === 0) {
      if (this.#overlay.top.map.get(offsetBytes / BLOCK_BYTES) === BLOCK.warm) {
        this.#overlay.overwrite(data, offsetBytes);
        return undefined;
      }
    }
    return this.#track(this.#write(offsetBytes, data, false));
  }

  /** Whole blocks become holes; what lies beside them is left as it is. */
  trim(offsetBytes: number, lengthBytes: number): Waiting {
    const { first, end } = this.#wholeBlocks(offsetBytes, offsetBytes + lengthBytes);
    if (first >= end) return undefined;
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#punch(first, end - first));
    return this.#punch(first, end - first);
  }

  /** See `Backing.writeZeroes`. */
  writeZeroes(offsetBytes: number, lengthBytes: number, { keepAllocated }: { keepAllocated: boolean }): Waiting {
    if (keepAllocated) return this.#track(this.#writeAllocatedZeros(offsetBytes, lengthBytes));
    if (!this.#queue.isEmpty) return this.#inTurn(() => this.#writeHoles(offsetBytes, lengthBytes, true));
    return this.#track(this.#writeHoles(offsetBytes, lengthBytes, false));
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.allSettled(this.#waiting);
  }

  /** Rejects everything that waits for the content of a block. */
  abandon(error: unknown): void {
    for (const pending of [...this.#pending.values()]) {
      this.#pending.delete(pending.block);
      pending.cancel();
      pending.reject(error);
    }
  }

  /** `final`: the free space was looked at just now, a refusal stands. */
  #write(offsetBytes: number, data: Uint8Array, final: boolean): Waiting {
    this.#assertAlive();
    const overlay = this.#overlay;
    const end = offsetBytes + data.length;
    const firstBlock = Math.floor(offsetBytes / BLOCK_BYTES);
    const blockCount = Math.ceil(end / BLOCK_BYTES) - firstBlock;
    if (blockCount === 0) return undefined;
    if (!overlay.admit(firstBlock, blockCount)) {
      if (final) throw fullError(this.#geometry.sizeBytes);
      return this.#afterLookingForSpace(() => this.#write(offsetBytes, data, true));
    }
    const whole = this.#wholeBlocks(offsetBytes, end);
    const headEnd = Math.min(end, whole.first * BLOCK_BYTES);
    const tailStart = Math.max(headEnd, whole.end * BLOCK_BYTES);
    let head: Waiting;
    let tail: Waiting;
    if (offsetBytes < headEnd) head = this.#writePart(offsetBytes, data.subarray(0, headEnd - offsetBytes));
    if (whole.first < whole.end) {
      const middle = data.subarray(headEnd - offsetBytes, Math.min(end, tailStart) - offsetBytes);
      overlay.writeBlocks(whole.first, whole.end - whole.first, middle);
      this.#supersede(whole.first, whole.end);
    }
    if (tailStart < end) tail = this.#writePart(tailStart, data.subarray(tailStart - offsetBytes));
    return both(head, tail);
  }

  #writeHoles(offsetBytes: number, lengthBytes: number, final: boolean): Waiting {
    this.#assertAlive();
    const overlay = this.#overlay;
    const end = offsetBytes + lengthBytes;
    if (lengthBytes === 0) return undefined;
    const whole = this.#wholeBlocks(offsetBytes, end);
    const headEnd = Math.min(end, whole.first * BLOCK_BYTES);
    const tailStart = Math.max(headEnd, whole.end * BLOCK_BYTES);
    const headFits = offsetBytes >= headEnd || overlay.admit(whole.first - 1, 1);
    const tailFits = tailStart >= end || overlay.admit(Math.floor(tailStart / BLOCK_BYTES), 1);
    if (!headFits || !tailFits) {
      if (final) throw fullError(this.#geometry.sizeBytes);
      return this.#afterLookingForSpace(() => this.#writeHoles(offsetBytes, lengthBytes, true));
    }
    let head: Waiting;
    let tail: Waiting;
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
        this.#assertAlive();
        await this.#overlay.refreshSpace();
        const waiting = this.#write(position, ZEROS.subarray(0, stop - position), true);
        if (waiting !== undefined) {
          waiting.catch(() => {});
          waits.push(waiting);
        }
        position = stop;
      }
    });
    await Promise.all(waits);
    this.#commit();
  }

  /** Part of one block; the rest of it stays what it is. */
  #writePart(offsetBytes: number, data: Uint8Array): Waiting {
    this.#assertAlive();
    const overlay = this.#overlay;
    const block = Math.floor(offsetBytes / BLOCK_BYTES);
    const start = block * BLOCK_BYTES;
    const running = this.#pending.get(block);
    if (running !== undefined) {
      running.put(offsetBytes - start, data);
      return running.done;
    }
    if (overlay.top.map.get(block) % 2 === 1) {
      overlay.overwrite(data, offsetBytes);
      return undefined;
    }
    const lengthBytes = Math.min(BLOCK_BYTES, this.#geometry.sizeBytes - start);
    const whole = this.#scratch.subarray(0, lengthBytes);
    if (this.#reader.readSync(start, whole)) {
      whole.set(data, offsetBytes - start);
      overlay.writeBlocks(block, 1, whole);
      return undefined;
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
      await this.#reader.read(pending.block * BLOCK_BYTES, pending.below, { signal: pending.signal });
      if (!isCurrent()) return;
      this.#assertAlive();
      const overlay = this.#overlay;
      overlay.writeBlocks(pending.block, 1, pending.merge());
      this.#pending.delete(pending.block);
      overlay.commit();
      pending.resolve();
    } catch (error) {
      if (isCurrent()) this.#pending.delete(pending.block);
      pending.reject(error);
    }
  }

  #punch(first: number, count: number): undefined {
    this.#assertAlive();
    this.#overlay.punch(first, count);
    this.#supersede(first, first + count);
    return undefined;
  }

  /** These blocks were overwritten whole: partial writes that waited for them, and loads of whole pieces, have lost their purpose. */
  #supersede(first: number, end: number): void {
    if (this.#pending.size > 0) {
      const replaced = [...this.#pending.values()].filter(({ block }) => block >= first && block < end);
      for (const pending of replaced) this.#pending.delete(pending.block);
      if (replaced.length > 0) this.#commit();
      for (const pending of replaced) {
        pending.cancel();
        pending.resolve();
      }
    }
    if (this.#pieces.loading === 0) return;
    const blocksPerPiece = this.#geometry.chunkSizeBytes / BLOCK_BYTES;
    const endPiece =
      end * BLOCK_BYTES >= this.#geometry.sizeBytes ? this.#geometry.pieces : Math.floor(end / blocksPerPiece);
    this.#pieces.supersede(Math.ceil(first / blocksPerPiece), endPiece);
  }

  /** Behind the writes that wait; committed when it resolves. */
  #inTurn(operation: () => Waiting): Waiting {
    return this.#track(this.#queue.run(operation).then(() => this.#commit()));
  }

  /** Tries once more with fresh figures; all writes that come meanwhile wait behind this one. */
  async #afterLookingForSpace(operation: () => Waiting): Promise<void> {
    const looked = this.#queue.step(() => this.#overlay.refreshSpace());
    const done = this.#queue.run(operation);
    await Promise.all([looked, done]);
    this.#commit();
  }

  /** The blocks that lie wholly in the range; the short last block of a disk counts as whole. */
  #wholeBlocks(offsetBytes: number, endBytes: number): { first: number; end: number } {
    const end =
      endBytes === this.#geometry.sizeBytes ? Math.ceil(endBytes / BLOCK_BYTES) : Math.floor(endBytes / BLOCK_BYTES);
    return { first: Math.ceil(offsetBytes / BLOCK_BYTES), end };
  }

  #commit(): void {
    this.#assertAlive();
    this.#overlay.commit();
  }

  #track(waiting: Waiting): Waiting {
    if (waiting === undefined) return undefined;
    this.#waiting.add(waiting);
    const forget = (): void => void this.#waiting.delete(waiting);
    waiting.then(forget, forget);
    return waiting;
  }
}

function both(a: Waiting, b: Waiting): Waiting {
  if (a === undefined) return b;
  return b === undefined ? a : Promise.all([a, b]).then(() => {});
}

function fullError(sizeBytes: number): DiskswarmError {
  return new DiskswarmError(
    'DISK_FULL',
    'the state folder has no room for new data; overwriting and trimming still work',
    {
      data: { sizeBytes },
    },
  );
}
