/** The artefact cache: complete or absent, whoever builds. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { buildOnce, defaultCacheDir } from '../src/cache.ts';

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'diskswarm-cache-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('two that build the same folder at once both get one complete result', async (t) => {
  const root = await folder(t);
  const gate = Promise.withResolvers<void>();
  let started = 0;
  const build = async (path: string): Promise<void> => {
    await mkdir(path);
    if (++started === 2) gate.resolve();
    await gate.promise;
    await writeFile(join(path, 'content'), 'whole');
  };
  const target = join(root, 'thing');
  t.deepEqual(await Promise.all([buildOnce(target, build), buildOnce(target, build)]), [target, target]);
  t.is(await readFile(join(target, 'content'), 'utf8'), 'whole');
  t.deepEqual(await readdir(root), ['thing']);
});

test('a build that fails leaves nothing, and the next one is made', async (t) => {
  const root = await folder(t);
  const target = join(root, 'thing');
  const failing = buildOnce(target, async (path) => {
    await writeFile(path, 'half');
    throw new Error('out of luck');
  });
  await t.throwsAsync(failing, { message: 'out of luck' });
  t.deepEqual(await readdir(root), []);
  await buildOnce(target, (path) => writeFile(path, 'whole'));
  await buildOnce(target, () => t.fail('built twice'));
  t.is(await readFile(target, 'utf8'), 'whole');
});

test('the cache follows DISKSWARM_CACHE, then XDG_CACHE_HOME', (t) => {
  t.is(defaultCacheDir({ DISKSWARM_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a');
  t.is(defaultCacheDir({ XDG_CACHE_HOME: '/b' }), '/b/diskswarm');
  t.true(defaultCacheDir({}).endsWith('/.cache/diskswarm'));
});
