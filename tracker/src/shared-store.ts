/**
 * Several trackers behind one address: each tells the others what is announced to it, and takes over what they tell.
 *
 * Answers come from this tracker's own table, so that a store which is slow or away costs nobody anything; it is a log that all
 * append to and all read, as long as a silent peer is remembered. Who starts reads all of it and knows who is there. Repetitions
 * travel too, because each tracker forgets by itself who fell silent; that somebody did is never told, since it may be news that
 * was lost on the way. What the log is, and how it is reached, is left to it; news of generations to SharedNews.
 */
import type { Clock, Timer } from '@diskswarm/core';
import { decodeChanges, encodeChange, LARGEST_CHANGE_BYTES } from './change-record.ts';
import { MAX_PENDING_CHANGES_BYTES, MAX_UNSENT_RECORDS } from './limits.ts';
import type { News, NewsBoard } from './news-board.ts';
import { type NewsShelf, SharedNews } from './shared-news.ts';
import type { Change, SwarmTable } from './swarm-table.ts';

/** A log that several trackers share, with a shelf for what stays. */
export interface SharedLog extends NewsShelf {
  /** Whether it can be reached now. */
  readonly ok: boolean;
  /** Appends a record; rejects when it cannot. */
  append(record: Uint8Array): Promise<void>;
  /** Reads what others append, and first what they did lately. */
  follow(listener: SharedLogListener): void;
  /** Idempotent. */
  stop(): Promise<void>;
}

/** Told what is in a log; never throws. */
export interface SharedLogListener {
  onRecord(record: Uint8Array): void;
  onNews(news: News): void;
  /** The log is reached, for the first time or again; awaited before it is read. */
  onReached(): Promise<void>;
}

const COLLECT_MS = 250;

export class SharedStore {
  readonly #table: SwarmTable;
  readonly #clock: Clock;
  readonly #log: SharedLog;
  readonly #news: SharedNews;
  #pending = Buffer.allocUnsafe(MAX_PENDING_CHANGES_BYTES);
  #pendingBytes = 0;
  #unsent = 0;
  #timer: Timer | null = null;
  /** Records of others that could not be read. */
  malformed = 0;

  constructor(table: SwarmTable, board: NewsBoard, clock: Clock, log: SharedLog) {
    this.#table = table;
    this.#clock = clock;
    this.#log = log;
    this.#news = new SharedNews(board, clock, log);
  }

  get ok(): boolean {
    return this.#log.ok && this.#news.ok;
  }

  /** Begins to tell and to hear. */
  start(): void {
    this.#table.onNews = (news) => this.#note(news);
    this.#news.start();
    this.#log.follow({
      onRecord: (record) => this.#take(record),
      onNews: (news) => this.#news.hear(news),
      onReached: () => this.#news.compare(),
    });
  }

  /** Tells what was collected, and ends. Idempotent. */
  async stop(): Promise<void> {
    this.#table.onNews = null;
    await Promise.all([this.#flush(), this.#news.stop()]);
    await this.#log.stop();
  }

  #note(news: Change): void {
    if (this.#pendingBytes + LARGEST_CHANGE_BYTES > this.#pending.length) void this.#flush();
    this.#pendingBytes += encodeChange(news, this.#pending, this.#pendingBytes);
    this.#timer ??= this.#clock.setTimer(COLLECT_MS, () => void this.#flush(), { background: true });
  }

  async #flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    const record = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    if (record.length === 0 || this.#unsent >= MAX_UNSENT_RECORDS) return;
    this.#pending = Buffer.allocUnsafe(MAX_PENDING_CHANGES_BYTES);
    this.#unsent++;
    // What does not arrive is announced again within an interval.
    await this.#log.append(record).catch(() => {});
    this.#unsent--;
  }

  #take(record: Uint8Array): void {
    try {
      for (const change of decodeChanges(record)) this.#table.restore(change);
    } catch {
      this.malformed++;
    }
  }
}
