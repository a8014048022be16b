/**
 * News that several trackers share: a tracker's board takes over what lies on the shelf of all, and puts there what is newer.
 *
 * What waits to be put there is a set of swarms, not of blobs: of each the newest goes, once, also after the shelf was away for
 * long. Whenever the shelf is reached again the two are compared, since it may have come back empty. What others say is checked like
 * an announce, so the shelf cannot make news up.
 */
import type { InfoHash } from '@diskswarm/announce';
import type { Clock, Timer } from '@diskswarm/core';
import { MAX_BLOBS } from './limits.ts';
import type { News, NewsBoard, PlacedNews } from './news-board.ts';

/** Where trackers leave news for each other. */
export interface NewsShelf {
  /** All that lie there, in batches; some may come twice. */
  all(): AsyncIterable<readonly News[]>;
  /** Puts a blob there and tells the others, unless one of a later place lies there; rejects when it cannot. */
  put(news: PlacedNews): Promise<void>;
}

/** Between two rounds of putting: a swarm with news after news has one in each. */
const ROUND_MS = 250;
const RETRY_MS = 5_000;

export class SharedNews {
  readonly #board: NewsBoard;
  readonly #clock: Clock;
  readonly #shelf: NewsShelf;
  readonly #waiting = new Set<InfoHash>();
  #timer: Timer | null = null;
  #round: Promise<void> | null = null;
  #stopped = false;
  #ok = true;

  constructor(board: NewsBoard, clock: Clock, shelf: NewsShelf) {
    this.#board = board;
    this.#clock = clock;
    this.#shelf = shelf;
  }

  /** False while something that was to be put there could not be. */
  get ok(): boolean {
    return this.#ok;
  }

  start(): void {
    this.#board.onChange = (infoHash) => this.#tell(infoHash);
  }

  /** Puts there what waits, if that works at once, and ends. Idempotent. */
  async stop(): Promise<void> {
    this.#board.onChange = null;
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
    await this.#putAll();
  }

  /** Another tracker told of news. */
  hear(news: News): void {
    this.#board.hear(news);
  }

  /** The shelf is reached, for the first time or again. */
  async compare(): Promise<void> {
    const there = new Set<InfoHash>();
    for await (const batch of this.#shelf.all())
      for (const news of batch) if (this.#board.hear(news)) there.add(news.infoHash);
    for (const { infoHash } of this.#board.all()) if (!there.has(infoHash)) this.#waiting.add(infoHash);
    this.#timer?.cancel();
    this.#timer = null;
    this.#wake();
  }

  #tell(infoHash: InfoHash): void {
    // News that made room for other news need not be told any more.
    if (this.#waiting.size >= 2 * MAX_BLOBS)
      for (const waiting of this.#waiting) if (this.#board.get(waiting) === undefined) this.#waiting.delete(waiting);
    this.#waiting.add(infoHash);
    this.#wake();
  }

  /** Begins a round unless one is under way or was a moment ago. */
  #wake(): void {
    if (this.#stopped || this.#waiting.size === 0 || this.#timer !== null || this.#round !== null) return;
    this.#round = this.#putAll().then(() => {
      this.#round = null;
      const again = (): void => {
        this.#timer = null;
        this.#wake();
      };
      this.#timer = this.#clock.setTimer(this.#ok ? ROUND_MS : RETRY_MS, again, { background: true });
    });
  }

  async #putAll(): Promise<void> {
    for (const infoHash of [...this.#waiting]) {
      this.#waiting.delete(infoHash);
      const news = this.#board.news(infoHash);
      if (news === undefined) continue;
      try {
        await this.#shelf.put(news);
      } catch {
        // Behind the others, which it may not concern.
        this.#waiting.add(infoHash);
        this.#ok = false;
        return;
      }
    }
    this.#ok = true;
  }
}
