/**
 * Hosts that boot from a disk which is elsewhere, all at once, measured in the same way whoever brings it.
 *
 * A host asks for the disk, gets something to boot from, and its guest comes up: the time from the first to the last is the time to
 * login. Where the workload has a trace that is replayed in the place of a guest. Guests are real and share this machine's cores, so many of them wait for these as well.
 */

import { messageOf } from '@diskswarm/core';
import { bootGuest, type Guest } from '@diskswarm/guest';
import { check } from '../row.ts';
import type { RunContext } from '../systems/system.ts';
import { bytesOn, within } from './measure-move.ts';
import { playTrace } from './play-trace.ts';

/** What a host boots from. */
export interface OpenedDisk {
  /** NBD; takes writes. */
  readonly uri: string;
  /** Resolves when all of the disk is there; null when it never will be. */
  readonly whole: Promise<void> | null;
  /** Throws unless the disk has the content of the image. */
  check(): Promise<void>;
}

/** Everything is ready and nobody has asked for the disk yet. */
export interface BootBed {
  open(host: number): Promise<OpenedDisk>;
  /** What the system itself tells of a host, for the raw events. */
  facts?(host: number): Promise<Readonly<Record<string, unknown>>>;
}

/**
 * Boots all hosts of the workload and records `booted`, with `ended` false where not all was done within the limit. Rejects when a guest
 * does not come up or a host has other content.
 */
export async function measureBoot(context: RunContext, bed: BootBed): Promise<void> {
  const { run, record, log, experiment } = context;
  const hosts = Array.from({ length: run.workload.settings.hosts ?? 1 }, (_, host) => host);
  const before = await bytesOn(context.line);
  const startMs = performance.now();
  record('move', startMs);
  const guests = new Guests();
  try {
    const opened = await within(openAll(context, bed, hosts, guests), { limitMs: experiment.limitSeconds * 1000 });
    const endMs = performance.now();
    const ended = opened !== null;
    record('end', endMs, { ended, wireBytes: (await bytesOn(context.line)) - before });
    for (const host of hosts) record('facts', performance.now(), { host, ...(await bed.facts?.(host)) });
    await guests.end();
    if (opened !== null) {
      for (const disk of opened) await disk.check();
      record('checked', performance.now());
    }
    record('booted', performance.now(), { ended });
    const done = context.trace === null ? 'all up and done' : 'all replayed and done';
    log(`${ended ? done : 'not done, and over the limit,'} after ${((endMs - startMs) / 1000).toFixed(1)} s`);
  } finally {
    await guests.end();
  }
}

/** The guests of a run; none begins any more when it is over. */
class Guests {
  readonly #all: Guest[] = [];
  #over = false;

  boot(options: Parameters<typeof bootGuest>[0]): Guest {
    check(!this.#over, 'the run is over');
    const guest = bootGuest(options);
    this.#all.push(guest);
    return guest;
  }

  /** Idempotent. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#all.map((guest) => guest.stop()));
  }
}

/** All hosts at once, until each is up and has all that it will ever have. */
async function openAll(
  context: RunContext,
  bed: BootBed,
  hosts: readonly number[],
  guests: Guests,
): Promise<readonly OpenedDisk[]> {
  const opened = await Promise.all(hosts.map((host) => bootHost(context, bed, host, guests)));
  await Promise.all(opened.map(({ whole }) => whole));
  return opened;
}

/** Boots a guest on a disk and takes it away when it is up; or replays the trace without its pauses. */
export async function bootOnce({ experiment, artefacts, trace }: RunContext, uri: string): Promise<void> {
  if (trace !== null) {
    await playTrace({ uri, trace, limitMs: experiment.limitSeconds * 1000, hurry: true });
    return;
  }
  const { kernel, initramfs } = artefacts;
  const guest = bootGuest({ disk: { nbdUri: uri }, kernel, initramfs, memoryMiB: experiment.guest.memoryMib });
  try {
    await guest.ready({ timeoutMs: experiment.limitSeconds * 1000 });
  } finally {
    await guest.stop();
  }
}

async function bootHost(context: RunContext, bed: BootBed, host: number, guests: Guests): Promise<OpenedDisk> {
  const { experiment, artefacts, trace, record } = context;
  const { kernel, initramfs } = artefacts;
  record('asked', performance.now(), { host });
  const disk = await bed.open(host);
  record('opened', performance.now(), { host });
  // Whoever waits for it hears of a failure.
  disk.whole?.then(() => record('whole', performance.now(), { host })).catch(() => {});
  if (trace !== null) {
    const limitMs = 2 * experiment.limitSeconds * 1000;
    for (const { atMs, ...request } of await playTrace({ uri: disk.uri, trace, limitMs, hurry: false })) {
      record('request', atMs, { host, ...request });
    }
    record('played', performance.now(), { host });
    return disk;
  }
  const { memoryMib } = experiment.guest;
  const guest = guests.boot({ disk: { nbdUri: disk.uri }, kernel, initramfs, memoryMiB: memoryMib });
  try {
    const { uptimeSeconds } = await guest.ready({ timeoutMs: 2 * experiment.limitSeconds * 1000 });
    record('up', performance.now(), { host, uptimeSeconds });
  } catch (error) {
    throw new Error(`host ${host} did not come up: ${messageOf(error)}`, { cause: error });
  }
  return disk;
}
