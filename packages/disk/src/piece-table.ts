/**
 * Reads of the sealed generation: straight from the packs when a piece is known to be cached, else asynchronously, else by a fault.
 *
 * A chunk is read whole and verified before its first use in this run; one that is damaged, gone or cut short is reported and
 * resolved again. Requests for one piece share one load. Leaves to others: fetching and storing (the resolver), overlay
 * (disk-view.ts). Invariant: nothing unverified reaches a guest.
 */
import { chunkIdOf, type Geometry } from '@diskswarm/chunk';
import {
  type ChunkLocation,
  DiskswarmError,
  hasCode,
  PAGE_FANOUT,
  type PieceIndex,
  PRIORITY,
  type Priority,
  type Storage,
} from '@diskswarm/core';
import type { BaseResolver, LeafView } from './base-resolver.ts';
import { PackFiles } from './pack-files.ts';
import { PieceLoad } from './piece-load.ts';
import { PIECE, type PieceState, PieceStates } from './piece-states.ts';
import { Slots } from './slots.ts';
import { WarmRing } from './warm-ring.ts';

/** Chunks read from packs at once: each holds a buffer of one chunk. */
const MAX_PACK_READS = 16;
/** Places of one piece that may prove bad in one load before its readers are told. */
const MAX_BAD_PLACES = 4;
/** Pieces fetched ahead at once on a client's request; more are passed over. */
const MAX_PREFETCHES = 1024;

export interface PieceTableOptions {
  readonly geometry: Geometry;
  /** The storage that chunk locations speak of. */
  readonly storage: Storage;
  readonly resolver: BaseResolver;
  /**
   * Bytes read lately that are taken to be in the page cache and are read synchronously.
   * @default 512 MiB
   */
  readonly warmBytes?: number;
}

export class PieceTable {
  readonly geometry: Geometry;
  readonly #resolver: BaseResolver;
  readonly #packs: PackFiles;
  readonly #states: PieceStates;
  readonly #warm: WarmRing;
  readonly #loads = new Map<PieceIndex, PieceLoad>();
  readonly #peeks = new Map<number, Promise<boolean>>();
  readonly #slots = new Slots(MAX_PACK_READS);
  readonly #buffers: Uint8Array[] = [];
  readonly #chunkSizeBytes: number;
  #prefetches = 0;
  /** False once packs may change under what was verified. */
  #trusting = true;
  /** Counts invalidations: what was asked before one is not believed after it. */
  #age = 0;

  constructor({ geometry, storage, resolver, warmBytes = 512 * 1024 * 1024 }: PieceTableOptions) {
    this.geometry = geometry;
    this.#resolver = resolver;
    this.#chunkSizeBytes = geometry.chunkSizeBytes;
    this.#packs = new PackFiles(storage);
    this.#states = new PieceStates(geometry.chunkSizeBytes, this.#packs);
    this.#warm = new WarmRing(warmBytes / geometry.chunkSizeBytes, (piece) => {
      if (this.#states.get(piece) === PIECE.warm) this.#states.set(piece, PIECE.verified);
    });
  }

  /** Loads under way; 0 lets writers skip looking for one to cancel. */
  get loading(): number {
    return this.#loads.size;
  }

  /** What is known of a piece without asking anybody. */
  stateOf(piece: PieceIndex): PieceState {
    return this.#states.get(piece);
  }

  /** Fills `into` from verified, cached or zero pieces; false when any of them needs waiting (then `into` may be partly filled). */
  readSync(offsetBytes: number, into: Uint8Array): boolean {
    const size = this.#chunkSizeBytes;
    let piece = Math.floor(offsetBytes / size);
    let within = offsetBytes - piece * size;
    if (within + into.length <= size) return this.#readPieceSync(piece, within, into);
    for (let done = 0; done < into.length; piece++, within = 0) {
      const count = Math.min(size - within, into.length - done);
      if (!this.#readPieceSync(piece, within, into.subarray(done, done + count))) return false;
      done += count;
    }
    return true;
  }

  /**
   * Fills `into`, waiting as long as that takes. Resolves with false when a whole-piece write cancelled one of the loads: look at
   * the overlay again. Rejects with ABORTED, CHUNK_NOT_FOUND, CHUNK_CORRUPT or READ_FAILED.
   */
  async read(offsetBytes: number, into: Uint8Array, { signal }: { signal: AbortSignal }): Promise<boolean> {
    const size = this.#chunkSizeBytes;
    const waits: Promise<boolean>[] = [];
    for (let done = 0; done < into.length; ) {
      const piece = Math.floor((offsetBytes + done) / size) as PieceIndex;
      const within = offsetBytes + done - piece * size;
      const part = into.subarray(done, done + Math.min(size - within, into.length - done));
      if (!this.#readPieceSync(piece, within, part)) {
        waits.push(this.#loadOf(piece, PRIORITY.fault).wait(within, part, PRIORITY.fault, signal));
      }
      done += part.length;
    }
    return (await Promise.all(waits)).every((filled) => filled);
  }

  /** Begins to fetch a piece and reads it into the cache; failures stay unseen. */
  prefetch(piece: PieceIndex): void {
    const state = this.#states.get(piece);
    if (state === PIECE.zero || state === PIECE.warm || this.#loads.has(piece) || this.#prefetches >= MAX_PREFETCHES)
      return;
    this.#prefetches++;
    this.#loadOf(piece, PRIORITY.workingSet, () => this.#prefetches--).keepAlive();
  }

  /** Cancels loads of pieces `from` to `to - 1`, which were overwritten whole. */
  supersede(from: number, to: number): void {
    if (this.#loads.size === 0) return;
    for (const load of [...this.#loads.values()]) if (load.piece >= from && load.piece < to) load.supersede();
  }

  /** Learns what has arrived in a leaf since it was last looked at. */
  async refresh(leaf: number): Promise<void> {
    if (!this.#states.isComplete(leaf)) await this.#peek(leaf);
  }

  /** The generation below changed in these leaves: what was known of them is forgotten. Loads under way start over. */
  invalidate(leaves: Iterable<number>): void {
    this.#age++;
    this.#states.forget(leaves);
  }

  /**
   * A sync of the packs failed: what the kernel had of them may be gone, and what was verified may read as something else. From now on every read
   * verifies the whole chunk.
   */
  distrust(): void {
    this.#trusting = false;
    this.#states.distrust();
  }

  /** Fails what waits with ABORTED and closes the packs. */
  async close(): Promise<void> {
    for (const load of [...this.#loads.values()]) load.fail(new DiskswarmError('ABORTED', 'the disk was detached'));
    await this.#slots.idle();
    await this.#packs.close();
  }

  #readPieceSync(piece: number, withinBytes: number, into: Uint8Array): boolean {
    const state = this.#states.get(piece);
    if (state === PIECE.zero) {
      into.fill(0);
      return true;
    }
    if (state !== PIECE.warm) return false;
    const file = this.#packs.peek(this.#states.packOf(piece));
    if (file === null) return false;
    try {
      if (file.readSync(into, this.#states.positionOf(piece) + withinBytes) === into.length) return true;
    } catch (error) {
      if (!hasCode(error, 'READ_FAILED')) throw error;
    }
    // The load that follows finds out what became of the chunk.
    this.#states.set(piece, PIECE.present);
    return false;
  }

  #loadOf(piece: PieceIndex, priority: Priority, onEnd: () => void = () => {}): PieceLoad {
    const running = this.#loads.get(piece);
    if (running !== undefined) return running;
    const load = new PieceLoad(piece, priority, () => {
      if (this.#loads.get(piece) === load) this.#loads.delete(piece);
      onEnd();
    });
    this.#loads.set(piece, load);
    this.#run(load).catch((error: unknown) => load.fail(error));
    return load;
  }

  /** Goes from whatever is known of the piece to its bytes, one step at a time. */
  async #run(load: PieceLoad): Promise<void> {
    const { piece } = load;
    const leaf = Math.floor(piece / PAGE_FANOUT);
    for (let badPlaces = 0; !load.ended; ) {
      const state = this.#states.get(piece);
      if (state === PIECE.zero) return load.deliver(null);
      if (state === PIECE.unknown) {
        if (!(await this.#peek(leaf))) await this.#resolve(load);
        continue;
      }
      if (!load.touched && state < PIECE.verified) {
        load.touched = true;
        this.#resolver.touched(piece);
      }
      if (state === PIECE.absent) {
        await this.#resolve(load);
        if (this.#states.get(piece) === PIECE.absent) badPlaces++;
      } else {
        if ((await this.#readChunk(load)) === 'bad') badPlaces++;
      }
      if (badPlaces > MAX_BAD_PLACES && !load.ended) {
        throw new DiskswarmError('CHUNK_CORRUPT', `every copy of piece ${piece} that was offered is damaged`, {
          data: { piece },
        });
      }
    }
  }

  /** Asks the rest of the agent for the piece; a more urgent reader that comes meanwhile raises the request. */
  async #resolve(load: PieceLoad): Promise<void> {
    const age = this.#age;
    const view = await new Promise<LeafView>((resolve, reject) => {
      load.raise = (priority) => {
        this.#resolver.resolve(load.piece, priority, { signal: load.signal }).then(resolve, reject);
      };
      load.raise(load.priority);
    });
    load.raise = null;
    if (age !== this.#age) return;
    this.#states.install(view);
    if (load.ended || view.unstored == null) return;
    if (!load.touched) this.#resolver.touched(load.piece);
    load.deliver(view.unstored);
  }

  /** False when the page of the leaf is not here. */
  #peek(leaf: number): Promise<boolean> {
    const running = this.#peeks.get(leaf);
    if (running !== undefined) return running;
    const peek = this.#peekOnce(leaf).finally(() => this.#peeks.delete(leaf));
    this.#peeks.set(leaf, peek);
    return peek;
  }

  async #peekOnce(leaf: number): Promise<boolean> {
    const age = this.#age;
    const view = await this.#resolver.peek(leaf);
    if (age !== this.#age) return true; // The caller looks again and finds nothing known.
    if (view !== null) this.#states.install(view);
    return view !== null;
  }

  /** Reads the whole chunk and hands it out; 'bad' when its place is no good, 'again' when the world changed meanwhile. */
  async #readChunk(load: PieceLoad): Promise<'done' | 'bad' | 'again'> {
    const { piece } = load;
    await this.#slots.acquire();
    const buffer = this.#buffers.pop() ?? new Uint8Array(this.#chunkSizeBytes);
    try {
      if (load.ended || this.#states.get(piece) < PIECE.present) return 'again';
      const age = this.#age;
      const location = this.#states.locationOf(piece);
      const whole = await this.#readWhole(piece, buffer);
      if (load.ended || age !== this.#age) return 'again';
      let verified = this.#states.get(piece) >= PIECE.verified;
      if (!verified && whole) {
        const id = this.#states.idOf(piece) ?? (await this.#idAfterPeek(piece));
        if (load.ended || age !== this.#age || id === null) return 'again';
        verified = chunkIdOf(buffer) === id;
      }
      // A view that came meanwhile may name another place: what was found holds for the old one only.
      const moved = this.#states.get(piece) < PIECE.present || !isSamePlace(this.#states.locationOf(piece), location);
      if (!whole || !verified) {
        if (moved) return 'again';
        this.#resolver.damaged(piece, location);
        this.#states.set(piece, PIECE.absent);
        return 'bad';
      }
      if (!moved && this.#trusting) {
        this.#states.set(piece, PIECE.warm);
        this.#warm.push(piece);
      }
      load.deliver(buffer);
      return 'done';
    } finally {
      this.#buffers.push(buffer);
      this.#slots.release();
    }
  }

  async #readWhole(piece: PieceIndex, buffer: Uint8Array): Promise<boolean> {
    try {
      const count = await this.#packs.read(this.#states.packOf(piece), buffer, this.#states.positionOf(piece));
      return count === buffer.length;
    } catch (error) {
      if (hasCode(error, 'READ_FAILED')) return false;
      throw error;
    }
  }

  /** The page of ids left the cache before the piece was verified: fetch it again. */
  async #idAfterPeek(piece: PieceIndex): Promise<ReturnType<PieceStates['idOf']>> {
    const leaf = Math.floor(piece / PAGE_FANOUT);
    if (!(await this.#peek(leaf))) this.#states.forget([leaf]);
    return this.#states.idOf(piece);
  }
}

function isSamePlace(a: ChunkLocation, b: ChunkLocation): boolean {
  return a.path === b.path && a.positionBytes === b.positionBytes;
}
