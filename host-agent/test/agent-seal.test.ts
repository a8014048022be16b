/** A seal takes everything that was written before it, also after many that could not be finished. */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_LAYERS } from '@diskswarm/disk';
import test from 'ava';
import { never, withHost } from './support/agent.ts';

test('after more failed seals than an overlay has room for, one seal brings all that was written', async (t) => {
  await withHost(1, async (host) => {
    const disk = await host.import((piece) => (piece % 3) + 1);
    await host.attach();
    const { store } = host.agent.env;
    const real = store.sync.bind(store);
    const failures = MAX_LAYERS + 6;
    store.sync = () => Promise.reject(new DiskswarmError('DISK_FULL', 'no room for the new chunks'));
    for (let piece = 0; piece < failures; piece++) {
      await host.write(piece, 0x80 + piece);
      t.is((await t.throwsAsync(disk.seal(never), { instanceOf: DiskswarmError })).code, 'DISK_FULL');
    }
    store.sync = real;
    const { generation, changedPieces } = await disk.seal(never);
    t.is(disk.records.head?.id, generation.id);
    t.is(generation.sequence, 3);
    t.is(changedPieces, failures);
    t.is(await disk.attachment.dirtyBytes(), 0);
    await disk.detach();
    await host.attach(true);
    for (let piece = 0; piece < failures; piece++)
      t.deepEqual(await host.read(piece), new Uint8Array(16).fill(0x80 + piece));
  });
});

test('the rounds of a migration are forgotten at the next start, and nothing of the disk with them', async (t) => {
  await withHost(1, async (host) => {
    const disk = await host.import((piece) => (piece % 3) + 1);
    await host.attach();
    for (let round = 1; round <= 5; round++) {
      await host.write(round, 0x80 + round);
      await disk.seal({ ...never, transient: true });
    }
    await host.write(6, 0x86);
    await disk.seal(never);
    const sequences = (): number[] => host.disk.records.history().map(({ sequence }) => sequence);
    t.deepEqual(sequences(), [1, 2, 3, 4, 5, 6, 7]);
    await host.restart();
    t.deepEqual(sequences(), [1, 6, 7], 'the newest, the one it came from, and what was kept');
    for (let piece = 1; piece <= 6; piece++) t.deepEqual(await host.read(piece), new Uint8Array(16).fill(0x80 + piece));
    await host.write(7, 0x87);
    t.is((await host.disk.seal(never)).generation.sequence, 8);
    await host.restart();
    t.deepEqual(sequences(), [1, 7, 8]);
    t.deepEqual(await host.read(7), new Uint8Array(16).fill(0x87));
  });
});
