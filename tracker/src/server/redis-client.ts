/**
 * Connections to Redis: the single place that imports @redis/client.
 *
 * One that cannot be reached is tried again with a growing pause, for ever; meanwhile `isReady` is false and commands reject at once.
 */
import { DiskswarmError } from '@diskswarm/core';
import { createClient } from '@redis/client';

const CONNECT_MS = 3_000;
const PING_MS = 2_000;
const SILENT_MS = 6_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** Where a Redis is. */
export interface RedisPlace {
  /** redis:// or rediss://; a password in it, or `password`, is never shown. */
  readonly url: string;
  readonly password?: string | undefined;
}

/** A client that was not connected yet. */
export type RedisClient = ReturnType<typeof make>;

/** INVALID_ARGUMENT for a URL that is none of Redis'. */
export function makeRedisClient(place: RedisPlace): RedisClient {
  try {
    return make(place);
  } catch {
    throw new DiskswarmError('INVALID_ARGUMENT', 'store: this is no URL of a Redis: redis://HOST:PORT', {
      data: { field: 'store' },
    });
  }
}

/** RESP 2, because its answers are the same in every version of Redis. */
function make({ url, password }: RedisPlace) {
  const client = createClient({
    url,
    ...(password === undefined ? {} : { password }),
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: 64,
    // One that accepts and says nothing is away too.
    pingInterval: PING_MS,
    socket: {
      socketTimeout: SILENT_MS,
      connectTimeout: CONNECT_MS,
      reconnectStrategy: (retries) => Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(retries, 10)),
    },
  });
  // Said by those who use it; without a listener it would end the process.
  client.on('error', () => {});
  return client;
}

/** Its clock, in milliseconds since 1970. */
export async function redisMs(client: RedisClient): Promise<number> {
  const [seconds, micros] = (await client.sendCommand(['TIME'])) as unknown as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
