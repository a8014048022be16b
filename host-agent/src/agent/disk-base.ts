/**
 * The base of a clone: brings pieces that the clone shares with the template it was made of, by way of the template's own disk.
 *
 * A piece is brought into the base first, from its swarm and under its rules, and then admitted to the clone, whose it is from then
 * on (docs/adr/0011). That happens only where the base has the same id at the same place, and only for a clone that a host
 * which the base admits has signed: a manifest that merely lists ids proves nothing.
 */
import {
  type Clock,
  type DiskId,
  decodeCanonical,
  encodeCanonical,
  type GenerationId,
  idFromBytes,
  idToBytes,
  PAGE_FANOUT,
  type PieceIndex,
  PRIORITY,
  type Priority,
  RecordReader,
  ZERO_ID,
} from '@diskswarm/core';
import { idAt, pathOf } from '@diskswarm/manifest';
import type { DiskPages } from './disk-pages.ts';
import type { DiskPeers } from './disk-peers.ts';
import { type DiskRecords, diskKey } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { GenerationView } from './generation-view.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { Brought } from './piece-chunks.ts';
import type { PieceIntake } from './piece-intake.ts';

/** The first trace that is worth telling. */
const FIRST_SHARED_FAULTS = 16;
/** While a piece is waited for, it is looked at so often whether the other disk's hosts could bring it. */
const LOOK_AGAIN_MS = 2_000;

/** The generation that a clone was made of. */
export interface BaseReference {
  readonly disk: DiskId;
  readonly generation: GenerationId;
}

/** The base as it is on this host. */
interface OpenBase {
  readonly disk: ManagedDisk;
  readonly view: GenerationView;
}

export interface DiskBaseOptions {
  readonly env: Environment;
  readonly name: string;
  readonly records: DiskRecords;
  readonly pages: DiskPages;
  readonly peers: Pick<DiskPeers, 'holders' | 'links'>;
  readonly intake: PieceIntake;
}

/** Brings something one way, until the signal fires. */
type Way<Result> = (options: { signal: AbortSignal }) => Promise<Result>;

export class DiskBase {
  readonly #options: DiskBaseOptions;
  #reference: BaseReference | null;
  /** Pieces that no connected host could bring when it was last looked. */
  readonly #starving = new Set<PieceIndex>();
  #faults = 0;

  constructor(options: DiskBaseOptions) {
    this.#options = options;
    const bytes = options.env.meta.get(baseKey(options.records.disk));
    this.#reference = bytes === null ? null : decodeReference(bytes);
  }

  /** What the clone was made of; null for a disk that is no clone. */
  get named(): BaseReference | null {
    return this.#reference ?? this.#options.records.head?.base ?? null;
  }

  /** The base's disk, where it is on this host and may be used; null otherwise. */
  get disk(): ManagedDisk | null {
    return this.#reference === null ? null : (this.#options.env.disks.get(this.#reference.disk) ?? null);
  }

  /** All of the clone is wanted only where it came by a move: where it was made the template's disk has what it does not touch. */
  get leavesRest(): boolean {
    return this.disk !== null && this.#options.records.chain.current.epoch === 1;
  }

  /** The fleet that the clone was started in; null for others. */
  get fleet(): string | null {
    const { env, records } = this.#options;
    const bytes = env.meta.get(diskKey(records.disk, 'fleet'));
    return bytes === null ? null : Buffer.from(bytes).toString('utf8');
  }

  /** Pieces that are waited for, and that nobody who is connected has. */
  get waitingPieces(): number {
    return this.#starving.size;
  }

  /** Brings the piece by way of the base if that has it, else `ours`. */
  async bring(
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    { signal, ours }: { signal: AbortSignal; ours: Way<Brought> },
  ): Promise<Brought> {
    const base = await this.#open(view, piece);
    if (base === null) return ours({ signal });
    const theirs: Way<Brought | null> = (options) => this.#bringFromBase(base, view, piece, priority, options);
    const brought = await this.#eitherWay(base, view, piece, { signal, theirs, ours });
    if (priority === PRIORITY.fault) this.#shareTrace(base.disk);
    return brought ?? ours({ signal });
  }

  /** After 16 faults, 32, 64 and so on, the other hosts are told what the guest touched so far: they need it next. */
  #shareTrace(base: ManagedDisk): void {
    this.#faults++;
    if (this.#faults < FIRST_SHARED_FAULTS || !Number.isInteger(Math.log2(this.#faults))) return;
    const { env, name, records } = this.#options;
    const touched = env.disks.get(records.disk)?.attachment.resolver?.trace.pieces ?? [];
    base.greeting
      .shareTrace(touched)
      .catch((error: unknown) =>
        env.log.warn({ disk: records.disk }, `what disk "${name}" touched was not told to others: ${String(error)}`),
      );
  }

  /** Brings the manifest pages of a piece here where clone and base have the same ones; false where that cannot be. */
  async bringPath(view: GenerationView, piece: PieceIndex, { signal }: { signal: AbortSignal }): Promise<boolean> {
    const base = await this.#open(view, piece);
    if (base === null || base.view.subject.root !== view.subject.root) return false;
    const theirs: Way<boolean> = async (options) => {
      await base.disk.pageFetch.idOf(base.view, piece, options);
      await this.#admitPath(base, view, piece);
      return true;
    };
    return (await this.#eitherWay(base, view, piece, { signal, theirs, ours: async () => false })) === true;
  }

  /** The base, where this host may use it for the clone and it has such a piece. */
  async #open(view: GenerationView, piece: PieceIndex): Promise<OpenBase | null> {
    const reference = this.#reference ?? (await this.#vouchedFor());
    const disk = reference === null ? undefined : this.#options.env.disks.get(reference.disk);
    if (reference === null || disk === undefined) return null;
    if (disk.records.generation(reference.generation) === null) return null;
    const base = await disk.templates.view(reference.generation);
    const { geometry } = base.subject;
    if (geometry.chunkSizeBytes !== view.subject.geometry.chunkSizeBytes || piece >= geometry.pieces) return null;
    return { disk, view: base };
  }

  /** What the clone's newest generation names, once a host that the base admits has signed it; durable from then on. */
  async #vouchedFor(): Promise<BaseReference | null> {
    const { env, records } = this.#options;
    const { head } = records;
    const base = head?.base ?? null;
    if (head === null || base === null) return null;
    if (env.disks.get(base.disk)?.peers.admits(head.host) !== true) return null;
    await env.meta.commit({ [baseKey(records.disk)]: encodeReference(base) });
    this.#reference = base;
    return base;
  }

  /** Null where the base has something else at that place. */
  async #bringFromBase(
    base: OpenBase,
    view: GenerationView,
    piece: PieceIndex,
    priority: Priority,
    options: { signal: AbortSignal },
  ): Promise<Brought | null> {
    const { env, records, intake } = this.#options;
    const same = base.view.subject.root === view.subject.root;
    if (!same) {
      const own = await view.reader.missingOnPath(piece);
      if (own !== null) return null;
      const theirs = await base.disk.pageFetch.idOf(base.view, piece, options);
      if (theirs !== (await view.reader.idOf(piece))) return null;
    }
    const brought = await base.disk.chunks.bring(base.view, piece, priority, options);
    if (same) await this.#admitPath(base, view, piece);
    if (brought.unstored !== null) return brought;
    const id = await view.reader.idOf(piece);
    if (id !== ZERO_ID && !env.store.admit(id, records.disk)) return null; // Damaged and dropped at this very moment.
    if (id !== ZERO_ID) intake.note(view, piece);
    return brought;
  }

  /** Makes the pages of a path the clone's too, and with them the pieces of the leaf that the base has here. */
  async #admitPath({ disk, view: base }: OpenBase, view: GenerationView, piece: PieceIndex): Promise<void> {
    const { env, records, pages, intake } = this.#options;
    const leaf = Math.floor(piece / PAGE_FANOUT);
    if (view.leafKnown(leaf)) return;
    let id = view.subject.root;
    for (const { slot } of pathOf(piece, view.reader.levels)) {
      if (id === ZERO_ID) break;
      const page = await disk.pages.get(id);
      if (!env.store.admit(id, records.disk)) pages.hold(id, page); // It is in memory alone there too.
      id = idAt(page, slot);
    }
    if (!(await view.learnLeafFromStore(leaf))) return;
    const page = await view.reader.leaf(leaf);
    const first = leaf * PAGE_FANOUT;
    for (let index = first; index < Math.min(first + PAGE_FANOUT, view.piecesTotal); index++) {
      const each = index as PieceIndex;
      if (view.has(each) || !base.has(each) || !env.store.has(idAt(page, index - first), disk.disk)) continue;
      // Noted, not learned: it counts once the admission is durable.
      if (env.store.admit(idAt(page, index - first), records.disk)) intake.note(view, each);
    }
  }

  /** The way on which somebody can answer; the other one once that changes. */
  async #eitherWay<Result>(
    base: OpenBase,
    view: GenerationView,
    piece: PieceIndex,
    { signal, theirs, ours }: { signal: AbortSignal; theirs: Way<Result>; ours: Way<Result> },
  ): Promise<Result> {
    try {
      for (;;) {
        const way = this.#wayOf(base, view, piece);
        const controller = new AbortController();
        const watch = watching(this.#options.env.clock, () => {
          this.#starved(base, view, piece);
          if (this.#wayOf(base, view, piece) !== way) controller.abort();
        });
        try {
          return await (way === 'base' ? theirs : ours)({ signal: AbortSignal.any([signal, controller.signal]) });
        } catch (error) {
          if (signal.aborted || !controller.signal.aborted) throw error;
        } finally {
          watch.stop();
        }
      }
    } finally {
      this.#starving.delete(piece);
    }
  }

  #wayOf(base: OpenBase, view: GenerationView, piece: PieceIndex): 'base' | 'own' {
    if (base.view.has(piece)) return 'base';
    let ownMay = false;
    for (const { certainty } of this.#options.peers.holders(view.subject.generation, piece)) {
      if (certainty === 'has') return 'own';
      ownMay = true;
    }
    return ownMay && !anybody(base, piece) ? 'own' : 'base';
  }

  /** Says once for each time of waiting that nobody who is connected has the piece. */
  #starved(base: OpenBase, view: GenerationView, piece: PieceIndex): void {
    const { env, name, records, peers } = this.#options;
    const own = !peers.holders(view.subject.generation, piece)[Symbol.iterator]().next().done;
    if (own || anybody(base, piece)) {
      this.#starving.delete(piece);
      return;
    }
    if (this.#starving.size === 0)
      env.log.warn(
        { disk: records.disk, piece },
        `disk "${name}" waits for piece ${piece} of its template "${base.disk.name}", and no host that is connected has it: start one that holds the template or a clone of it`,
      );
    this.#starving.add(piece);
  }
}

/** A change of the metadata that makes a disk a clone. */
export function baseChange(disk: DiskId, base: BaseReference): { [key: string]: Uint8Array } {
  return { [baseKey(disk)]: encodeReference(base) };
}

/** Somebody who is connected has the base's piece, or may have it. */
function anybody({ disk, view }: OpenBase, piece: PieceIndex): boolean {
  const { done } = disk.peers.holders(view.subject.generation, piece)[Symbol.iterator]().next();
  return done !== true || (disk.base.disk !== null && disk.base.disk.peers.links().length > 0);
}

/** Calls `look` again and again until it is stopped. */
function watching(clock: Clock, look: () => void): { stop(): void } {
  const again = (): ReturnType<Clock['setTimer']> =>
    clock.setTimer(
      LOOK_AGAIN_MS,
      () => {
        timer = again();
        look();
      },
      { background: true },
    );
  let timer = again();
  return { stop: () => timer.cancel() };
}

function baseKey(disk: DiskId): string {
  return diskKey(disk, 'base');
}

function encodeReference({ disk, generation }: BaseReference): Uint8Array {
  return encodeCanonical({ disk: idToBytes(disk), generation: idToBytes(generation), v: 1 });
}

function decodeReference(bytes: Uint8Array): BaseReference {
  const value = decodeCanonical(bytes, { maxBytes: 256, what: 'base of a clone' });
  const reader = new RecordReader(value, 'base of a clone', ['disk', 'generation', 'v']);
  reader.integer('v', 1, 1);
  return {
    disk: idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })),
    generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })),
  };
}
