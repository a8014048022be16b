/**
 * The log that trackers share, in Redis: one stream, with a record of changes in each entry, or a blob of news.
 *
 * Entries carry who wrote them, so that nobody hears himself. Reading goes on behind the last entry read, also after Redis was
 * away; one that came back empty, or with its clock set back, is read from where it is now. Entries older than `windowSeconds` go.
 * While Redis is away `ok` is false and `append` and `put` reject at once. What lies there longer, the news, is left to RedisNews.
 */
import { type Clock, type Random, sleep, toHex } from '@diskswarm/core';
import { MAX_RECORDS_PER_READ, MAX_SHARED_RECORDS } from '../limits.ts';
import type { News, PlacedNews } from '../news-board.ts';
import type { SharedLog, SharedLogListener } from '../shared-store.ts';
import { makeRedisClient, type RedisClient, type RedisPlace, redisMs } from './redis-client.ts';
import { newsOfEntry, RedisNews } from './redis-news.ts';

const KEY = 'diskswarm:tracker:1';
const BLOCK_MS = 2_000;
const PAUSE_MS = 200;
const TRIM_EVERY_MS = 60_000;
/** How long an answer to what was said last is waited for. */
const LAST_WORDS_MS = 2_000;

export interface RedisStreamOptions extends RedisPlace {
  readonly clock: Clock;
  readonly random: Random;
  /** How long an entry is of use. */
  readonly windowSeconds: number;
  /** It cannot be reached, or answers again; not told where it answers from the first. */
  readonly onState?: ((ok: boolean) => void) | undefined;
}

export class RedisStream implements SharedLog {
  readonly #options: RedisStreamOptions;
  readonly #self: string;
  readonly #writer: RedisClient;
  readonly #reader: RedisClient;
  readonly #news: RedisNews;
  readonly #abort = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;
  #readOk = false;
  /** Told last. */
  #saidOk = true;
  /** The last entry read; null before the first time. */
  #last: string | null = null;
  #trimmedMs = 0;

  /** INVALID_ARGUMENT for a URL that is none of Redis'. */
  constructor(options: RedisStreamOptions) {
    this.#options = options;
    this.#self = toHex(options.random.bytes(8));
    this.#writer = makeRedisClient(options);
    this.#reader = makeRedisClient(options);
    this.#news = new RedisNews(KEY, this.#self);
  }

  get ok(): boolean {
    return this.#readOk && this.#writer.isReady;
  }

  async append(record: Uint8Array): Promise<void> {
    const entry = { from: this.#self, changes: Buffer.from(record).toString('base64') };
    const TRIM = { strategy: 'MAXLEN', strategyModifier: '~', threshold: MAX_SHARED_RECORDS } as const;
    await this.#writer.xAdd(KEY, '*', entry, { TRIM });
  }

  all(): AsyncIterable<readonly News[]> {
    return this.#news.all(this.#reader);
  }

  put(news: PlacedNews): Promise<void> {
    return this.#news.put(this.#writer, news);
  }

  follow(listener: SharedLogListener): void {
    // These go on trying by themselves; what they say of it is in `ok`.
    for (const client of [this.#writer, this.#reader]) client.connect().catch(() => {});
    this.#reading = this.#read(listener);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    this.#abort.abort();
    this.#reader.destroy();
    await this.#reading;
    // What was sent before it is there when it is answered. The client's own close waits for ever where Redis hangs.
    const late = new AbortController();
    const deadline = sleep(this.#options.clock, LAST_WORDS_MS, { signal: late.signal }).catch(() => {});
    await Promise.race([this.#writer.ping().catch(() => {}), deadline]);
    late.abort();
    this.#writer.destroy();
  }

  async #read(listener: SharedLogListener): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        // After every loss of the connection: the Redis that answers may be another.
        if (!this.#readOk) {
          await this.#begin();
          await listener.onReached();
        }
        await this.#readSome(listener);
        this.#readOk = true;
        this.#say(true);
      } catch {
        this.#readOk = false;
        if (!signal.aborted) this.#say(false);
        await sleep(this.#options.clock, PAUSE_MS, { signal }).catch(() => {});
      }
    }
    this.#readOk = false;
  }

  #say(ok: boolean): void {
    if (ok === this.#saidOk) return;
    this.#saidOk = ok;
    this.#options.onState?.(ok);
  }

  async #begin(): Promise<void> {
    const nowMs = await redisMs(this.#reader);
    const lastMs = this.#last === null ? Number.POSITIVE_INFINITY : Number(this.#last.split('-')[0]);
    const fromMs = nowMs - this.#options.windowSeconds * 1000;
    if (lastMs > nowMs || lastMs < fromMs) this.#last = `${Math.max(0, fromMs)}-0`;
  }

  async #readSome(listener: SharedLogListener): Promise<void> {
    const at = { key: KEY, id: this.#last ?? '0-0' };
    const options = { COUNT: MAX_RECORDS_PER_READ, ...(this.#readOk ? { BLOCK: BLOCK_MS } : {}) };
    const streams = (await this.#reader.xRead(at, options)) as
      | readonly { readonly messages: readonly { readonly id: string; readonly message: Record<string, string> }[] }[]
      | null;
    for (const { id, message } of streams?.[0]?.messages ?? []) {
      this.#last = id;
      if (message.from === this.#self) continue;
      const news = newsOfEntry(message.news);
      if (news !== null) listener.onNews(news);
      else listener.onRecord(new Uint8Array(Buffer.from(message.changes ?? '', 'base64')));
    }
    await this.#trim();
  }

  async #trim(): Promise<void> {
    const nowMs = this.#options.clock.nowUs() / 1000;
    if (nowMs - this.#trimmedMs < TRIM_EVERY_MS) return;
    this.#trimmedMs = nowMs;
    const oldest = (await redisMs(this.#reader)) - this.#options.windowSeconds * 1000;
    await this.#writer.xTrim(KEY, 'MINID', Math.max(0, oldest), { strategyModifier: '~' });
  }
}
