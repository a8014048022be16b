/**
 * The parts of the demonstration that can be wrong on their own: the replay that stands in for a guest, its NBD client, and
 * the verdict. The whole of it is `npm run demo`.
 */
import fs from 'node:fs';
import path from 'node:path';
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import type { LiveMove } from '../src/demo/live-move.ts';
import { NbdClient } from '../src/demo/nbd-client.ts';
import { RECORDED_BOOT, RECORDED_SIZE_BYTES, RECORDED_WRITES } from '../src/demo/recorded-boot.ts';
import { createReplay, parseRecording } from '../src/demo/replay.ts';
import type { Outcome } from '../src/demo/story.ts';
import { checksOf, comparisonText, liveText } from '../src/demo/verdict.ts';
import { FILES } from '../src/demo/workload.ts';
import { exportOf, fileExport, image, MIB, scratch, serve } from './export-support/clients.ts';

const never = new AbortController().signal;

test('the recording holds the boot of a small part of the disk, and a write for every file of the story', (t) => {
  const boot = parseRecording(RECORDED_BOOT);
  const reads = boot.filter(({ kind }) => kind === 'read');
  const bytes = reads.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  t.true(bytes > MIB && bytes < RECORDED_SIZE_BYTES / 10, String(bytes));
  for (const { name, sizeBytes } of [...FILES.home, ...FILES.office]) {
    const operations = parseRecording(RECORDED_WRITES[name] ?? '');
    const written = operations
      .filter(({ kind }) => kind === 'write')
      .reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    t.true(written >= sizeBytes, name);
    t.true(
      operations.some(({ kind }) => kind === 'flush'),
      name,
    );
  }
  for (const { offsetBytes, lengthBytes } of boot) t.true(offsetBytes + lengthBytes <= RECORDED_SIZE_BYTES);
  for (const bad of ['x0.8', 'r0', 'r0.8+', 'r0.8 W0.8', 'r-1.8']) {
    t.true(
      hasCode(
        t.throws(() => parseRecording(bad)),
        'FORMAT_INVALID',
      ) || bad === 'r0',
      bad,
    );
  }
});

test('the replay boots, writes and finds its files over NBD; one changed byte is noticed', async (t) => {
  const folder = scratch(t);
  const workload = await createReplay(folder, never);
  const { socketPath } = await serve(t, folder, exportOf(fileExport(t, workload.image)));
  const disk = { nbdUri: `nbd+unix:///?socket=${socketPath}` };
  const first = workload.boot(disk);
  t.teardown(() => first.stop());
  await first.ready();
  t.is(await first.checkAll(), 0);
  await first.write('notes', 40_000, 1);
  await first.write('mail', 120_000, 1);
  t.is(await first.checkAll(), 2);
  await first.poweroff();

  const second = workload.boot(disk);
  t.teardown(() => second.stop());
  await second.ready();
  t.is(await second.checkAll(), 2);
  const [place] = parseRecording(RECORDED_WRITES.notes ?? '');
  const fd = fs.openSync(workload.image, 'r+');
  fs.writeSync(fd, Buffer.from('!'), 0, 1, (place?.offsetBytes ?? 0) + 100);
  fs.closeSync(fd);
  t.true(hasCode(await t.throwsAsync(second.checkAll()), 'GUEST_COMMAND_FAILED'));
  await second.stop();
  t.true(hasCode(await t.throwsAsync(second.checkAll()), 'GUEST_EXITED'));
});

test("the replay's client: refused exports, refused requests, a server that goes away", async (t) => {
  const folder = scratch(t);
  const file = image(folder, 'disk.raw', MIB);
  const { socketPath, server } = await serve(t, folder, exportOf(fileExport(t, file)));
  const uri = `nbd+unix:///?socket=${socketPath}`;
  t.true(hasCode(await t.throwsAsync(NbdClient.connect(`nbd+unix:///other?socket=${socketPath}`)), 'PROTOCOL_ERROR'));
  const missing = `nbd+unix:///?socket=${path.join(folder, 'none.sock')}`;
  t.is((await t.throwsAsync<NodeJS.ErrnoException>(NbdClient.connect(missing)))?.code, 'ENOENT');
  const client = await NbdClient.connect(uri);
  t.is(client.sizeBytes, MIB);
  await client.write(4096, Buffer.alloc(8192, 5));
  await client.flush();
  t.is(fs.readFileSync(file).compare(await client.read(8192, 4096), 0, 4096, 8192, 12_288), 0);
  t.true((await client.read(4096, 8192)).every((byte) => byte === 5));
  t.true(hasCode(await t.throwsAsync(client.read(MIB, 512)), 'READ_FAILED'));
  t.is((await client.read(0, 512)).length, 512, 'the connection lives on');
  await server.stop();
  await t.throwsAsync(client.read(0, 512));
  client.close();
});

const GOOD: Outcome = {
  copyFirst: { durationMs: 60_000, receivedBytes: 130 * MIB },
  onDemand: {
    durationMs: 8_000,
    receivedBytes: 15 * MIB,
    figures: {
      bytesFrom: { home: 8 * MIB, office: 7 * MIB },
      receivedBytes: 15 * MIB,
      faultBytes: MIB,
      faults: 16,
      faultUs: { p50: 20_000, p90: 40_000, p99: 90_000, max: 91_000 },
      usedBytes: 10 * MIB,
      presentBytes: 15 * MIB,
      dataBytes: 130 * MIB,
      sizeBytes: 256 * MIB,
    },
  },
  filesChecked: 5,
  filesCheckedAlone: 5,
  filesWritten: 5,
  bytesFrom: { home: 60 * MIB, office: 70 * MIB },
  hotelComplete: true,
  homeSafe: true,
  officeSafe: true,
  live: {
    durationMs: 14_000,
    silenceBeforeMs: 31,
    silenceMs: 640,
    stopToRunningMs: 590,
    memoryBytes: 19 * MIB,
    diskBytes: 2 * MIB,
    missedTicks: 0,
    writesBefore: 60,
    writesTold: 75,
    writesFound: 76,
    writesIntact: true,
    filesChecked: 5,
    isAtOffice: true,
  },
};
const LIVE = GOOD.live as LiveMove;

test('a run is good only if everything held; each thing that did not is named', (t) => {
  t.deepEqual(
    checksOf(GOOD).filter((check) => !check.ok),
    [],
  );
  const worse: [string, Partial<Outcome>][] = [
    ['files-intact', { filesChecked: 4 }],
    ['two-sources', { bytesFrom: { office: 130 * MIB } }],
    ['fewer-bytes', { onDemand: { ...GOOD.onDemand, receivedBytes: 130 * MIB } }],
    ['sooner', { onDemand: { ...GOOD.onDemand, durationMs: 60_000 } }],
    ['complete', { hotelComplete: false }],
    ['safe', { homeSafe: false }],
    ['safe', { officeSafe: false }],
    ['alone', { filesCheckedAlone: 0 }],
    ['live-moved', { live: { ...LIVE, isAtOffice: false } }],
    ['live-ticks', { live: { ...LIVE, missedTicks: 1 } }],
    ['live-gap', { live: { ...LIVE, silenceMs: 14_000 } }],
    ['live-gap', { live: { ...LIVE, stopToRunningMs: Number.NaN } }],
    ['live-writes', { live: { ...LIVE, writesBefore: 75 } }],
    ['live-durable', { live: { ...LIVE, writesFound: 74 } }],
    ['live-durable', { live: { ...LIVE, writesIntact: false } }],
    ['live-files', { live: { ...LIVE, filesChecked: 4 } }],
  ];
  for (const [name, change] of worse) {
    const failed = checksOf({ ...GOOD, ...change }).filter((check) => !check.ok);
    t.deepEqual(
      failed.map((check) => check.name),
      [name],
    );
  }
  t.false(checksOf({ ...GOOD, live: null }).some(({ name }) => name.startsWith('live')));
  t.regex(
    liveText(LIVE),
    /19M of memory, 2M of the disk\n.*640 ms\n.*31 ms\n.*590 ms\n.*75, 15 of them at office\n.*75$/,
  );
  t.regex(comparisonText(GOOD), /130M +1 min 0 s\n.*15M +8\.0 s\n7\.5 times sooner/);
});
