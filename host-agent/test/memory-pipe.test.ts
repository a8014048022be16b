/** The socket on which QEMU hands over its memory is gone when the migration is, whenever that is. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { MemoryOutlet } from '../src/migration/memory-pipe.ts';

test('an outlet that is stopped while it starts leaves no socket, and the next one has its place', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'outlet-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const place = path.join(folder, 'out.sock');
  const outlet = (): MemoryOutlet =>
    new MemoryOutlet(place, () => {
      throw new DiskswarmError('PEER_UNREACHABLE', 'nobody is asked');
    });

  const first = outlet();
  const starting = first.start();
  await first.stop();
  await starting;
  t.deepEqual(fs.readdirSync(folder), []);

  const second = outlet();
  t.is(await second.start(), place);
  await second.stop();
  t.deepEqual(fs.readdirSync(folder), []);
});
