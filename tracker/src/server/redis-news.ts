/**
 * News in Redis: of each swarm one blob in a hash, and in a sorted set when it was repeated last, by Redis' own clock.
 *
 * One script compares places and puts in, so that two trackers which have a newer and an older blob leave the newer one, whoever
 * comes first; what it puts in it also tells in the log. It drops what nobody repeated for a week, and beyond MAX_BLOBS what
 * was repeated longest ago. Signatures are not its business: who hears of a blob checks it.
 *
 * field: "EPOCH SEQUENCE BASE64"; entry of the log: "INFOHASH AGESECONDS BASE64"
 */
import { BLOB_LIFE_SECONDS, MAX_BLOBS, MAX_BLOBS_PER_READ, MAX_SHARED_RECORDS } from '../limits.ts';
import type { News, PlacedNews } from '../news-board.ts';
import { type RedisClient, redisMs } from './redis-client.ts';

/** Longer ones are none of ours: 1 KiB in base64, and two numbers. */
const MAX_FIELD_CHARS = 1500;

const PUT = `
local blobs, times, log = KEYS[1], KEYS[2], KEYS[3]
local hash, epoch, sequence, age, blob = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local life, most, entries, from = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local now = tonumber(redis.call('TIME')[1])
local known = redis.call('HGET', blobs, hash) or ''
local e, s = string.match(known, '^(%d+) (%d+) ')
e, s = tonumber(e), tonumber(s)
if e and (e > epoch or (e == epoch and s > sequence)) then return 0 end
if not (e == epoch and s == sequence) then
  redis.call('HSET', blobs, hash, ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. blob)
end
local before = tonumber(redis.call('ZSCORE', times, hash) or 0)
redis.call('ZADD', times, math.max(before, now - age), hash)
local gone = redis.call('ZRANGEBYSCORE', times, '-inf', now - life, 'LIMIT', 0, 100)
if #gone == 0 then
  local over = redis.call('ZCARD', times) - most
  if over > 0 then gone = redis.call('ZRANGE', times, 0, math.min(over, 100) - 1) end
end
if #gone > 0 then
  redis.call('HDEL', blobs, unpack(gone))
  redis.call('ZREM', times, unpack(gone))
end
redis.call('EXPIRE', blobs, life)
redis.call('EXPIRE', times, life)
redis.call('XADD', log, 'MAXLEN', '~', entries, '*', 'from', from, 'news', hash .. ' ' .. ARGV[4] .. ' ' .. blob)
return 1`;

export class RedisNews {
  readonly #log: string;
  readonly #self: string;

  /** `log` is the stream where others hear of it, `self` who tells. */
  constructor(log: string, self: string) {
    this.#log = log;
    this.#self = self;
  }

  get #blobs(): string {
    return `${this.#log}:news`;
  }

  get #times(): string {
    return `${this.#log}:news:times`;
  }

  /** Puts a blob in and tells of it, unless one of a later place lies there. */
  async put(client: RedisClient, { infoHash, blob, place, ageSeconds }: PlacedNews): Promise<void> {
    const keys = [this.#blobs, this.#times, this.#log];
    const numbers = [place.epoch, place.sequence, ageSeconds].map(String);
    const bounds = [BLOB_LIFE_SECONDS, MAX_BLOBS, MAX_SHARED_RECORDS].map(String);
    const all = [infoHash, ...numbers, Buffer.from(blob).toString('base64'), ...bounds, this.#self];
    await client.eval(PUT, { keys, arguments: all });
  }

  /** All that lie there, in no order; some may come twice. */
  async *all(client: RedisClient): AsyncGenerator<readonly News[]> {
    const nowSeconds = Math.floor((await redisMs(client)) / 1000);
    let cursor = '0';
    do {
      const [next, found] = (await client.sendCommand([
        ...['ZSCAN', this.#times, cursor, 'COUNT', String(MAX_BLOBS_PER_READ)],
      ])) as unknown as [string, string[]];
      cursor = next;
      const times = new Map<string, number>();
      for (let at = 0; at + 1 < found.length; at += 2) times.set(found[at] as string, Number(found[at + 1]));
      if (times.size === 0) continue;
      const fields = (await client.hmGet(this.#blobs, [...times.keys()])) as (string | null)[];
      const news = [...times].map(([infoHash, second], index) =>
        newsOf(
          infoHash,
          nowSeconds - second,
          /^\d+ \d+ (.*)$/.exec((fields[index] ?? '').slice(0, MAX_FIELD_CHARS))?.[1],
        ),
      );
      yield news.filter((one) => one !== null);
    } while (cursor !== '0');
  }
}

/** The news in an entry of the log; null where it has none. */
export function newsOfEntry(text: string | undefined): News | null {
  if (text === undefined || text.length > MAX_FIELD_CHARS) return null;
  const [infoHash = '', age = '', blob] = text.split(' ');
  return newsOf(infoHash, Number(age), blob);
}

function newsOf(infoHash: string, ageSeconds: number, base64: string | undefined): News | null {
  if (base64 === undefined || !/^[0-9a-f]{40}$/.test(infoHash) || !Number.isFinite(ageSeconds)) return null;
  return {
    infoHash,
    blob: new Uint8Array(Buffer.from(base64, 'base64')),
    ageSeconds: Math.max(0, Math.floor(ageSeconds)),
  };
}
