/**
 * Servers of others that tests start for themselves, and ports for them.
 *
 * ```ts
 * const redis = await startRedis(t);   // ends with the test
 * const store = connect(redis.url);
 * await redis.kill();
 * ```
 */
export { freePort } from './ports.ts';
export { startRedis, type TestRedis, type TestScope } from './redis.ts';
