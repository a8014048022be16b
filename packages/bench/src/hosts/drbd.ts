/**
 * DRBD 8.4 between two guests, one at each end of the line: the disk is replicated to the other end while its guest works on it.
 *
 * Memory does not move and no guest changes places: what counts is how long the initial sync takes, what crosses the line, and what the guest
 * gets done meanwhile. Then its writes go to both ends for a while, the two are apart and synced again, and at last the first gives the disk
 * up, the second takes it and goes on alone, and both images are compared from the outside.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { prepareDrbdGuest } from '@diskswarm/guest';
import { copyImage } from '../image.ts';
import { pause } from '../programs.ts';
import { check } from '../row.ts';
import { GuestLine } from './guest-line.ts';
import { bytesOn, type MoveOptions, type RecordEvent } from './measure-move.ts';
import { Qemu } from './qemu.ts';

const ADDRESSES = ['10.99.0.11', '10.99.0.12'] as const;
/** DRBD's own, at the end of each disk: a bitmap and its activity log. */
const METADATA_BYTES = 2 * 2 ** 20;
const POLL_MS = 200;
/** How long the two are apart before the resync. */
const APART_MS = 5000;
const SYNCED = 'ds:UpToDate/UpToDate';

export type DrbdProtocol = 'A' | 'B' | 'C';

/** What the guest does on the disk; null for nothing. */
type DrbdWork = readonly (string | number)[] | null;

export interface DrbdOptions
  extends Pick<MoveOptions, 'folder' | 'line' | 'artefacts' | 'limitMs' | 'beforeMs' | 'record' | 'log'> {
  readonly protocol: DrbdProtocol;
  readonly work: DrbdWork;
  readonly memoryMib: number;
  /** What the resync may use of the line. */
  readonly bitsPerSecond: number;
  /** Arguments of QEMU for a network device with this Ethernet address. */
  readonly network: (mac: string) => readonly string[];
}

/** Replicates; false when the sync did not end within the limit. */
export async function replicateByDrbd(options: DrbdOptions): Promise<{ wireBytes: number; ended: boolean }> {
  const { folder, line, artefacts, memoryMib, network, record = () => {}, log } = options;
  const { kernel, initramfs } = await prepareDrbdGuest({ log });
  const { size } = await stat(artefacts.rootImage);
  const files = [join(folder, 'first.raw'), join(folder, 'second.raw')] as const;
  await copyImage(artefacts.rootImage, files[0]);
  await writeFile(files[1], '');
  for (const file of files) await truncate(file, size + METADATA_BYTES);
  const start = (index: 0 | 1): Promise<Qemu> =>
    Qemu.start({
      ...{ folder: join(folder, `drbd${index}`), prefix: [line.far, line.near][index]!.prefix, memoryMiB: memoryMib },
      ...{ artefacts: { kernel, initramfs, rootImage: artefacts.rootImage }, incoming: false },
      blockdev: { driver: 'raw', file: { driver: 'file', filename: files[index]! } },
      args: network(`52:54:00:d5:00:1${index}`),
    });
  const machines = [await start(0), await start(1)] as const;
  const guests = [new GuestLine((beat, atMs) => record(beat, atMs)), new GuestLine()] as const;
  try {
    // Who listens after a guest is up has missed its word.
    for (const index of [0, 1] as const) await guests[index].attach(machines[index].linePath);
    for (const index of [0, 1] as const) {
      await guests[index].ready;
      await guests[index].say('net', ADDRESSES[index]);
      await guests[index].say('up', Math.max(250, Math.floor(options.bitsPerSecond / 8 / 1024)));
    }
    const { inSync, ...moved } = await sync(guests, options);
    if (inSync) {
      await handOver(guests, record);
      const [own, other] = [await hashHead(files[0], size), await hashHead(files[1], size)];
      check(own === other, 'the two disks differ after the sync');
      record('checked', performance.now());
    }
    return moved;
  } finally {
    for (const guest of guests) guest.close();
    await Promise.all(machines.map((machine) => machine.stop()));
  }
}

/**
 * From the connecting until both have all of it, with the guest at work, which then works on a while; then the same again after the two
 * were apart. `inSync` is false where the last of it did not end within the limit.
 */
async function sync(
  guests: readonly [GuestLine, GuestLine],
  options: DrbdOptions,
): Promise<{ wireBytes: number; ended: boolean; inSync: boolean }> {
  const { line, work, beforeMs = 6000, record = () => {}, log } = options;
  const [first] = guests;
  await first.say('primary');
  await first.say('tick');
  if (work !== null) await first.say(...work);
  record('before', performance.now());
  await pause(beforeMs);
  const before = await bytesOn(line);
  const startMs = performance.now();
  record('move', startMs);
  const ended = await connectUntilSynced(guests, options);
  const endMs = performance.now();
  record('end', endMs, { ended });
  const wireBytes = (await bytesOn(line)) - before;
  log(`${((endMs - startMs) / 1000).toFixed(1)} s, ${Math.round(wireBytes / 1e6)} MB`);
  if (!ended) return { wireBytes, ended, inSync: false };
  const connectedMs = performance.now();
  await pause(beforeMs);
  record('connected', performance.now(), { tookMs: performance.now() - connectedMs });
  await disconnect(guests);
  await pause(APART_MS);
  const apart = await bytesOn(line);
  const againMs = performance.now();
  const inSync = await connectUntilSynced(guests, options);
  const tookMs = performance.now() - againMs;
  record('resynced', performance.now(), { tookMs, wireBytes: (await bytesOn(line)) - apart, ended: inSync });
  return { wireBytes, ended, inSync };
}

async function disconnect([first, second]: readonly [GuestLine, GuestLine]): Promise<void> {
  await first.say('disconnect', ADDRESSES[0], ADDRESSES[1]);
  await second.say('disconnect', ADDRESSES[1], ADDRESSES[0]);
}

/** False when it takes longer than the limit. */
async function connectUntilSynced(
  [first, second]: readonly [GuestLine, GuestLine],
  { protocol, limitMs = 300_000 }: DrbdOptions,
): Promise<boolean> {
  const startMs = performance.now();
  await second.say('connect', ADDRESSES[1], ADDRESSES[0], protocol);
  await first.say('connect', ADDRESSES[0], ADDRESSES[1], protocol);
  while (performance.now() - startMs < limitMs) {
    await pause(POLL_MS);
    if ((await first.say('status')).includes(SYNCED)) return true;
  }
  return false;
}

/** The first stops working and gives the disk up; the second takes it and needs the first no more. */
async function handOver(guests: readonly [GuestLine, GuestLine], record: RecordEvent): Promise<void> {
  const [first, second] = guests;
  await first.say('rest');
  const startMs = performance.now();
  await first.say('secondary');
  await second.say('primary');
  await disconnect(guests);
  const endMs = performance.now();
  record('detached', endMs, { tookMs: endMs - startMs });
  await second.say('secondary');
  await first.say('down');
  await second.say('down');
}

/** SHA-256 of the first bytes of a file: what lies before DRBD's own. */
async function hashHead(file: string, sizeBytes: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file, { end: sizeBytes - 1 })) hash.update(part as Buffer);
  return hash.digest('hex');
}
