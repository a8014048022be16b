/**
 * Brings manifest pages here: the path of one piece when a fault needs it, or everything of a generation that is not here yet.
 *
 * Pages come from any peer that has them, are verified from the root down before use, and are stored like chunks. One path is asked for once
 * however many callers wait for it.
 */
import {
  type ChunkId,
  DiskswarmError,
  hasCode,
  ID_BYTES,
  idFromBytes,
  PAGE_FANOUT,
  type PageId,
  type PieceIndex,
  ZERO_ID,
} from '@diskswarm/core';
import { levelsFor, slotSpan, verifyPath, ZERO_PAGE } from '@diskswarm/manifest';
import type { DiskPages } from './disk-pages.ts';
import type { GenerationView } from './generation-view.ts';

/** Asks peers for the pages of a path; what comes back is not trusted. `wrong` blames the peer that sent it. */
export interface PathSource {
  requestPath(
    request: { root: PageId; piece: PieceIndex; fromLevel: number },
    options: { signal: AbortSignal },
  ): Promise<{ pages: readonly Uint8Array[]; wrong(error: Error): void }>;
}

/** Pages that a clone shares with the template it was made of. */
export interface BasePaths {
  /** True when the pages of the piece's path were brought here by way of the base. */
  bringPath(view: GenerationView, piece: PieceIndex, options: { signal: AbortSignal }): Promise<boolean>;
}

/** Paths that are asked for at once when a whole manifest is fetched. */
const PATHS_AT_ONCE = 16;

export class PageFetch {
  readonly #pages: DiskPages;
  readonly #peers: PathSource;
  readonly #base: BasePaths | null;
  readonly #running = new Map<string, Promise<ChunkId>>();

  constructor(pages: DiskPages, peers: PathSource, base: BasePaths | null = null) {
    this.#pages = pages;
    this.#peers = peers;
    this.#base = base;
  }

  /** The id of a piece, fetching the pages of its path that are missing. Waits as long as nobody has them. */
  async idOf(view: GenerationView, piece: PieceIndex, { signal }: { signal: AbortSignal }): Promise<ChunkId> {
    const key = `${view.subject.root} ${Math.floor(piece / PAGE_FANOUT)}`;
    for (;;) {
      const missing = await view.reader.missingOnPath(piece);
      if (missing === null) return view.reader.idOf(piece);
      const running = this.#running.get(key);
      if (running === undefined) return this.#fetchOnce(key, () => this.#bring(view, piece, missing, signal));
      await endOf(running, signal);
    }
  }

  async #fetchOnce(key: string, start: () => Promise<ChunkId>): Promise<ChunkId> {
    const fetch = start();
    this.#running.set(key, fetch);
    try {
      return await fetch;
    } finally {
      this.#running.delete(key);
    }
  }

  /** Fetches every page of the generation that is not here, then learns which of its pieces are. */
  async fetchAll(view: GenerationView, options: { signal: AbortSignal }): Promise<void> {
    await this.#pages.storeHeld();
    const tasks = new Set<Promise<void>>();
    for await (const leaf of this.#missingLeaves(view, options)) {
      const task: Promise<void> = this.idOf(view, (leaf * PAGE_FANOUT) as PieceIndex, options).then(
        () => void tasks.delete(task),
      );
      task.catch(() => {}); // Reported by the race or at the end.
      tasks.add(task);
      if (tasks.size >= PATHS_AT_ONCE) await Promise.race(tasks);
    }
    await Promise.all(tasks);
    await this.#pages.storeHeld();
    await view.learnFromStore(options);
  }

  /** Leaves with a page missing; inner pages are fetched on the way, by the path to their first leaf. */
  async *#missingLeaves(view: GenerationView, options: { signal: AbortSignal }): AsyncGenerator<number> {
    yield* this.#missingBelow(view, view.subject.root, levelsFor(view.piecesTotal) - 1, 0, options);
  }

  async *#missingBelow(
    view: GenerationView,
    id: PageId,
    level: number,
    index: number,
    options: { signal: AbortSignal },
  ): AsyncGenerator<number> {
    options.signal.throwIfAborted();
    if (id === ZERO_ID) return;
    if (level === 0) {
      if (!this.#pages.has(id)) yield index;
      return;
    }
    const first = (index * slotSpan(level + 1)) as PieceIndex;
    if (!this.#pages.has(id)) await this.idOf(view, first, options);
    const page = await this.#pages.get(id);
    for (let slot = 0; slot < PAGE_FANOUT; slot++) {
      const child = index * PAGE_FANOUT + slot;
      if (child * slotSpan(level) >= view.piecesTotal) return;
      yield* this.#missingBelow(view, idFromBytes<PageId>(page, slot * ID_BYTES), level - 1, child, options);
    }
  }

  async #bring(
    view: GenerationView,
    piece: PieceIndex,
    missing: { level: number; id: PageId },
    signal: AbortSignal,
  ): Promise<ChunkId> {
    const shared = (await this.#base?.bringPath(view, piece, { signal })) === true;
    const from = shared ? await view.reader.missingOnPath(piece) : missing;
    return from === null ? view.reader.idOf(piece) : this.#fetchPath(view, piece, from, signal);
  }

  async #fetchPath(
    view: GenerationView,
    piece: PieceIndex,
    from: { level: number; id: PageId },
    signal: AbortSignal,
  ): Promise<ChunkId> {
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#peers.requestPath(
        { root: view.subject.root, piece, fromLevel: from.level },
        { signal },
      );
      try {
        const path = verifyPath({ pieces: view.piecesTotal, piece, from, pages: answer.pages });
        if (path.chunk === null)
          throw new DiskswarmError('PROTOCOL_ERROR', 'a path with pages left out', { data: { piece } });
        if (await this.#keep(path.pages)) this.#learn(view, piece, path.pages.at(-1));
        return path.chunk;
      } catch (error) {
        if (!hasCode(error, 'CHUNK_CORRUPT') && !hasCode(error, 'FORMAT_INVALID') && !hasCode(error, 'PROTOCOL_ERROR'))
          throw error;
        answer.wrong(error);
      }
    }
  }

  /** False when the store has no room: then the pages are only at hand for a while, and nothing is claimed to be here. */
  async #keep(path: readonly { readonly id: PageId; readonly bytes: Uint8Array }[]): Promise<boolean> {
    const pages = path.map(({ id, bytes }) => ({ id, bytes: new Uint8Array(bytes) }));
    try {
      // From the leaf up: a page that is here promises nothing about its children, but a walk from the root ends sooner.
      for (const { id, bytes } of pages.toReversed()) await this.#pages.put(id, bytes);
    } catch (error) {
      if (!hasCode(error, 'DISK_FULL') && !hasCode(error, 'WRITE_FAILED')) throw error;
      for (const { id, bytes } of pages) this.#pages.hold(id, bytes);
    }
    return this.#pages.allStored;
  }

  #learn(
    view: GenerationView,
    piece: PieceIndex,
    leaf: { level: number; index: number; bytes: Uint8Array } | undefined,
  ): void {
    if (leaf?.level === 0) view.learnLeaf(leaf.index, leaf.bytes);
    else view.learnLeaf(Math.floor(piece / PAGE_FANOUT), ZERO_PAGE); // The path ended in a zero subtree.
  }
}

/** Resolves when the fetch of another caller ended, however it did; rejects with ABORTED when `signal` fires first. */
function endOf(running: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new DiskswarmError('ABORTED', 'the page was given up'));
    const done = (): void => {
      signal.removeEventListener('abort', abort);
      resolve();
    };
    running.then(done, done);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
