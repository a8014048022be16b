/** What a guest notices: contents, waiting, order, fences, status. The random runs are in model.test.ts. */
import { type DiskswarmError, hasCode, PRIORITY } from '@diskswarm/core';
import test from 'ava';
import { attach } from '../src/attachment.ts';
import { DiskView } from '../src/disk-view.ts';
import { MAP_RESERVE_BYTES } from '../src/layer.ts';
import { PieceTable } from '../src/piece-table.ts';
import { noise, TestDisk } from './support/test-disk.ts';

const CHUNK = 16384;
const signal = new AbortController().signal;

function gateOf(disk: TestDisk): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.base.gate = promise;
  return resolve;
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  return done;
}

test('reads what was sealed, then what was written over it', async (t) => {
  const content = noise(10 * CHUNK + 512, 1);
  const disk = await TestDisk.of(content);
  t.deepEqual(await disk.readAll(), content);
  await disk.write(100, noise(5000, 2));
  content.set(noise(5000, 2), 100);
  t.deepEqual(await disk.readAll(), content);
  t.deepEqual(await disk.read(99, 4), content.subarray(99, 103));
});

test('a chunk that was read once is served synchronously, with one read', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  const into = new Uint8Array(4096);
  t.false(disk.view.readSync(4096, into));
  await disk.view.read(4096, into, { signal });
  const before = disk.storage.counts.readSync;
  t.true(disk.view.readSync(8192, into));
  t.is(disk.storage.counts.readSync, before + 1);
});

test('overwriting a block is one write and needs no record', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  await disk.write(4096, noise(4096, 2));
  const before = disk.storage.counts.writeSync;
  t.is(disk.view.write(4096, noise(4096, 3)), undefined);
  disk.view.commit();
  t.is(disk.storage.counts.writeSync, before + 1);
});

test('what fell out of the cache budget is read asynchronously again', async (t) => {
  const disk = await TestDisk.of(noise(8 * CHUNK, 1), { warmBytes: 2 * CHUNK });
  for (let piece = 0; piece < 8; piece++) await disk.read(piece * CHUNK, 4096);
  const into = new Uint8Array(4096);
  t.true(disk.view.readSync(7 * CHUNK, into));
  t.false(disk.view.readSync(0, into));
  for (let block = 0; block < 20; block++) await disk.write(block * 4096, noise(4096, block));
  t.false(disk.view.readSync(0, into));
  t.true(disk.view.readSync(19 * 4096, into));
  t.deepEqual(await disk.read(0, 4096), noise(4096, 0));
});

test('aligned writes to an absent chunk do not wait; a partial one does, and keeps its neighbours', async (t) => {
  const content = noise(4 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  disk.base.absent.add(1);
  const open = gateOf(disk);
  t.is(disk.view.write(CHUNK, noise(4096, 2)), undefined);
  const waiting = disk.view.write(CHUNK + 5000, noise(100, 3)) as Promise<void>;
  t.false(await settled(waiting));
  open();
  await waiting;
  content.set(noise(4096, 2), CHUNK);
  content.set(noise(100, 3), CHUNK + 5000);
  t.deepEqual(await disk.readAll(), content);
});

test('partial writes of one waiting block join in order, and a whole-block write settles them all', async (t) => {
  const content = noise(4 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  disk.base.absent.add(1).add(2);
  const open = gateOf(disk);
  const waits = [
    disk.view.write(CHUNK + 10, noise(100, 2)),
    disk.view.write(CHUNK + 50, noise(100, 3)),
    disk.view.writeZeroes(CHUNK + 60, 20, { keepAllocated: false }),
    disk.view.write(2 * CHUNK + 10, noise(100, 4)),
  ] as Promise<void>[];
  t.is(disk.view.write(2 * CHUNK, noise(4096, 5)), undefined);
  disk.view.commit();
  t.true(await settled(waits[3]!));
  t.false(await settled(waits[0]!));
  open();
  await Promise.all(waits);
  content.set(noise(100, 2), CHUNK + 10);
  content.set(noise(100, 3), CHUNK + 50);
  content.fill(0, CHUNK + 60, CHUNK + 80);
  content.set(noise(4096, 5), 2 * CHUNK);
  t.deepEqual(await disk.readAll(), content);
});

test('a whole-chunk write cancels the fetch and answers the reads that waited for it', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  disk.base.absent.add(1);
  gateOf(disk);
  const into = new Uint8Array(4096);
  const reading = disk.view.read(CHUNK + 4096, into, { signal });
  t.false(await settled(reading));
  t.is(disk.view.write(CHUNK, noise(CHUNK, 9)), undefined);
  await reading;
  t.deepEqual(into, noise(CHUNK, 9).subarray(4096, 8192));
});

test('readers of one absent piece share one fetch; the last one to give up cancels it', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  disk.base.absent.add(1);
  gateOf(disk);
  const first = new AbortController();
  const second = new AbortController();
  const reads = [first, second].map((each) => disk.view.read(CHUNK, new Uint8Array(512), { signal: each.signal }));
  t.false(await settled(reads[0]!));
  t.is(disk.base.resolved.length, 1);
  first.abort();
  t.true(hasCode(await t.throwsAsync(reads[0]!), 'ABORTED'));
  t.is(disk.pieces.loading, 1);
  second.abort();
  t.true(hasCode(await t.throwsAsync(reads[1]!), 'ABORTED'));
  t.is(disk.pieces.loading, 0);
});

test('a fault raises the priority of a prefetch that is under way', async (t) => {
  const content = noise(4 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  disk.base.absent.add(1);
  const open = gateOf(disk);
  disk.view.prefetch(CHUNK, CHUNK);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  const reading = disk.read(CHUNK, 512);
  t.false(await settled(reading));
  t.deepEqual(
    disk.base.resolved.map(({ priority }) => priority),
    [PRIORITY.workingSet, PRIORITY.fault],
  );
  open();
  t.deepEqual(await reading, content.subarray(CHUNK, CHUNK + 512));
});

test('a corrupt chunk is reported, fetched again and only then served', async (t) => {
  const content = noise(4 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.base.corrupt(2 as never);
  t.deepEqual(await disk.readAll(), content);
  t.deepEqual(disk.base.damagedPieces, [2]);
});

test('first touches are reported once, in order, and zeros are not', async (t) => {
  const content = noise(4 * CHUNK, 1);
  content.fill(0, CHUNK, 2 * CHUNK);
  const disk = await TestDisk.of(content);
  await disk.read(3 * CHUNK, 512);
  await disk.read(CHUNK, 512);
  await disk.read(0, 512);
  await disk.read(3 * CHUNK, 4096);
  t.deepEqual(disk.base.touchedPieces, [3, 0]);
});

test('block status: absent pieces are no holes, zeros and discards are', async (t) => {
  const content = noise(6 * CHUNK, 1);
  content.fill(0, 4 * CHUNK, 6 * CHUNK);
  const disk = await TestDisk.of(content);
  disk.base.absent.add(1);
  await disk.view.trim(2 * CHUNK, 4096);
  await disk.write(5 * CHUNK, noise(4096, 2));
  disk.view.commit();
  const extents = (context: 'base:allocation' | 'diskswarm:presence'): Promise<[number, number][]> =>
    disk.view
      .status(0, 6 * CHUNK, context, 100)
      .then((list) => list.map(({ lengthBytes, flags }) => [lengthBytes, flags]));
  t.deepEqual(await extents('base:allocation'), [
    [2 * CHUNK, 0],
    [4096, 3],
    [2 * CHUNK - 4096, 0],
    [CHUNK, 3],
    [4096, 0],
    [CHUNK - 4096, 3],
  ]);
  t.deepEqual(await extents('diskswarm:presence'), [
    [CHUNK, 0],
    [CHUNK, 1],
    [4 * CHUNK, 0],
  ]);
  disk.base.absent.delete(1);
  t.deepEqual(await extents('diskswarm:presence'), [[6 * CHUNK, 0]]);
  t.deepEqual(await disk.view.status(2 * CHUNK + 512, CHUNK, 'base:allocation', 1), [{ lengthBytes: 3584, flags: 3 }]);
});

test('zeros that stay allocated read as zeros and are data', async (t) => {
  const disk = await TestDisk.of(noise(200 * CHUNK, 1));
  await disk.view.writeZeroes(100, 150 * CHUNK, { keepAllocated: true });
  const after = await disk.readAll();
  t.true(after.subarray(100, 100 + 150 * CHUNK).every((byte) => byte === 0));
  t.deepEqual(after.subarray(0, 100), noise(100, 1));
  const [first] = await disk.view.status(0, 150 * CHUNK, 'base:allocation', 1);
  t.deepEqual(first, { lengthBytes: 150 * CHUNK, flags: 0 });
});

test('incoming refuses writes until it is accepted, held refuses them again, fenced serves nothing', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  const { geometry, storage, base, overlay } = disk;
  const pieces = new PieceTable({ geometry, storage: storage.process(), resolver: base });
  const view = new DiskView({ geometry, pieces, overlay: null, attachment: attach('incoming', 2) });
  const refused = (run: () => unknown): void => {
    t.true(hasCode(t.throws(run as () => void), 'ATTACHMENT_STATE'));
  };
  t.false(view.readOnly);
  await view.read(0, new Uint8Array(512), { signal });
  refused(() => view.write(0, new Uint8Array(4096)));
  refused(() => view.accept(3, overlay));
  view.accept(2, overlay);
  view.write(0, noise(4096, 5));
  view.hold();
  refused(() => view.write(0, new Uint8Array(4096)));
  refused(() => view.trim(0, 4096));
  view.commit();
  await view.flush();
  view.resume();
  view.write(4096, noise(4096, 6));
  view.fence();
  refused(() => view.write(0, new Uint8Array(4096)));
  refused(() => view.readSync(0, new Uint8Array(512)));
  refused(() => view.resume());
  refused(() => view.commit());
});

test('writes of a guest that runs on while a hold waits are done when it is over, or refused by the fence', async (t) => {
  const { view } = await TestDisk.of(noise(4 * CHUNK, 1));
  view.hold({ wait: true });
  await view.drain();
  const writes = [
    view.write(4096, noise(4096, 6)),
    view.trim(8192, 4096),
    view.writeZeroes(0, 100, { keepAllocated: false }),
  ];
  for (const write of writes) t.false(await settled(write as Promise<void>));
  view.resume();
  await Promise.all(writes);
  const after = new Uint8Array(12288);
  await view.read(0, after, { signal });
  t.deepEqual(after.slice(4096, 8192), noise(4096, 6));
  t.true(after.slice(8192).every((byte) => byte === 0) && after.slice(0, 100).every((byte) => byte === 0));
  view.hold({ wait: true });
  const late = view.write(4096, noise(4096, 7)) as Promise<void>;
  view.fence();
  t.true(hasCode(await t.throwsAsync(late), 'ATTACHMENT_STATE'));
});

test('drain waits for the writes that hold came too late for; fence ends them', async (t) => {
  const disk = await TestDisk.of(noise(4 * CHUNK, 1));
  disk.base.absent.add(1).add(2);
  const open = gateOf(disk);
  const first = disk.view.write(CHUNK + 1, noise(5, 2)) as Promise<void>;
  disk.view.hold();
  const drained = disk.view.drain();
  t.false(await settled(drained));
  open();
  await drained;
  await t.notThrowsAsync(first);
  disk.view.resume();
  gateOf(disk);
  const second = disk.view.write(2 * CHUNK + 1, noise(5, 2)) as Promise<void>;
  disk.view.fence();
  t.true(hasCode(await t.throwsAsync(second), 'ATTACHMENT_STATE'));
  await disk.view.drain();
});

test('a failed sync poisons the disk at once and for good; what was flushed before is there afterwards', async (t) => {
  const content = noise(4 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.write(0, noise(4096, 2));
  await disk.view.flush();
  await disk.write(4096, noise(4096, 3));
  disk.storage.fault = (operation, path) => operation === 'sync' && path.endsWith('.data');
  t.true(hasCode(await t.throwsAsync(disk.view.flush()), 'WRITE_FAILED'));
  disk.storage.fault = null;
  t.is(disk.failures.length, 1);
  for (const run of [
    () => disk.view.write(0, noise(4096, 4)),
    () => disk.view.readSync(0, new Uint8Array(512)),
    () => disk.view.commit(),
  ]) {
    t.true(hasCode(t.throws(run as () => void), 'WRITE_FAILED'));
  }
  t.true(hasCode(await t.throwsAsync(disk.view.flush()), 'WRITE_FAILED'));
  t.is(disk.failures.length, 1);
  await settled(Promise.resolve());
  disk.storage.crash();
  await disk.base.reopen();
  await disk.attach();
  content.set(noise(4096, 2), 0);
  t.deepEqual(await disk.readAll(), content);
});

test('a full disk refuses new data only, and takes it again once there is room', async (t) => {
  const content = noise(64 * CHUNK, 1);
  const disk = await TestDisk.of(content);
  await disk.write(0, noise(4096, 2));
  disk.storage.capacityBytes = disk.storage.usedBytes() + MAP_RESERVE_BYTES + 3 * (CHUNK + 8448 + 4096);
  await disk.overlay.refreshSpace();
  const written: number[] = [];
  let refusal: DiskswarmError | null = null;
  for (let piece = 1; piece < 10 && refusal === null; piece++) {
    try {
      await disk.write(piece * CHUNK, noise(4096, piece));
      written.push(piece);
    } catch (error) {
      refusal = error as DiskswarmError;
    }
  }
  t.true(hasCode(refusal, 'DISK_FULL'));
  t.true(written.length >= 1 && written.length <= 3);
  t.is(disk.view.write(0, noise(4096, 30)), undefined);
  await disk.view.trim(40 * CHUNK, CHUNK);
  disk.view.commit();
  await disk.view.flush();
  const sealed = await disk.seal();
  t.truthy(sealed, 'what was admitted can be sealed');
  content.set(noise(4096, 30), 0);
  for (const piece of written) content.set(noise(4096, piece), piece * CHUNK);
  content.fill(0, 40 * CHUNK, 41 * CHUNK);
  t.deepEqual(await disk.readAll(), content);
  disk.storage.capacityBytes = Number.POSITIVE_INFINITY;
  await disk.write(20 * CHUNK, noise(4096, 7));
  t.deepEqual(await disk.read(20 * CHUNK, 4096), noise(4096, 7));
});

test('a disk of 1 TiB costs what is touched', async (t) => {
  const disk = new TestDisk({ sizeBytes: 2 ** 40, chunkSizeBytes: 65536 });
  await disk.attach();
  await disk.write(2 ** 39 + 4096, noise(4096, 1));
  t.deepEqual(await disk.read(2 ** 39 + 4000, 200), Uint8Array.from([...new Uint8Array(96), ...noise(104, 1)]));
  await disk.view.trim(0, 2 ** 40);
  disk.view.commit();
  t.is(disk.overlay.dirtyBytes, 0);
  t.deepEqual(await disk.view.status(0, 2 ** 32, 'base:allocation', 10), [{ lengthBytes: 2 ** 32, flags: 3 }]);
});
