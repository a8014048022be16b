/** docs/FORMATS.md names every key of the metadata and every file that a working agent leaves in its state folder. */
import { readFileSync } from 'node:fs';
import type { Storage } from '@diskswarm/core';
import test from 'ava';
import { never, withHost } from './support/agent.ts';

const DOCUMENT = readFileSync(new URL('../../docs/FORMATS.md', import.meta.url), 'utf8');

/** The names in the first column of a section's table, as patterns: words in capitals stand for what varies. */
function namesIn(section: string): RegExp[] {
  const text = DOCUMENT.split(`\n## ${section}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = [...text.matchAll(/^\| (`[^|]+) \|/gm)].map((match) => match[1] as string);
  return rows
    .flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)])
    .map(([, name]) => new RegExp(`^${(name as string).replaceAll('.', '\\.').replace(/[A-Z]+/g, '[0-9a-z._-]+')}`));
}

async function filesBelow(storage: Storage, folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const name of await storage.list(folder)) {
    const place = folder === '' ? name : `${folder}/${name}`;
    const below = await filesBelow(storage, place).catch(() => []);
    files.push(...(below.length === 0 ? [place] : below));
  }
  return files;
}

test('whatever an agent keeps has a place in the document', async (t) => {
  await withHost(1, async (host) => {
    const disk = await host.import((piece) => (piece % 3) + 1);
    await host.attach();
    for (let piece = 0; piece < 20; piece++) {
      await host.read(piece);
      await host.write(piece + 30, 0x80 + piece);
    }
    await disk.seal(never);
    await host.write(1, 7);
    const { env } = host.agent;
    await env.store.sync();
    const keys = env.meta.keys('');
    const kinds = ['name', 'roster', 'secrets', 'epoch/', 'generation/', 'attachment', 'trace', 'receipt/'];
    t.deepEqual(
      kinds.filter((kind) => !keys.some((key) => key.includes(`/${kind}`))),
      [],
    );
    const known = namesIn('Metadata');
    t.true(known.length >= 12);
    t.deepEqual(
      keys.filter((key) => !known.some((pattern) => pattern.test(key))),
      [],
    );
    const files = await filesBelow(host.machine.storage, '');
    t.true(files.length >= 4, files.join(' '));
    const places = namesIn('State folder');
    t.deepEqual(
      files.filter((file) => !places.some((pattern) => pattern.test(file))),
      [],
    );
  });
});
