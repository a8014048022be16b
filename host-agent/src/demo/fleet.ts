/**
 * `diskswarm demo fleet`: hosts start machines from one template at the same time, and what its seed had to send for that.
 *
 * A tracker, the seed and the hosts, each a process with a store of its own, on this machine's loopback; the seed's uplink is
 * limited to that of a home line. Everything that was started ends with it, whatever happened.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { rateText, sizeText } from '../cli/words.ts';
import { type FleetHost, failureOf, outcomeOf, type Received, sentTo, summaryText } from './fleet-summary.ts';
import { DemoHost } from './host.ts';
import { startDaemon } from './processes.ts';
import { createReplay } from './replay.ts';
import type { DemoOptions } from './run.ts';
import { openScreen, type Screen } from './screen.ts';
import { startSweeper } from './sweeper.ts';
import { chooseWorkload, type Machine, type Workload } from './workload.ts';

/** 20 Mbit/s. */
const SEED_UPLOAD = 2_500_000;
const LISTEN = '127.0.0.1:0';
const LOOK_EVERY_MS = 500;
/** Guests without hardware acceleration share the processors of one machine. */
const BOOT_MS = 600_000;

/** The stage: what runs, and who is there. */
interface Stage {
  readonly screen: Screen;
  readonly folder: string;
  readonly undo: (() => Promise<unknown>)[];
  readonly signal: AbortSignal;
}

interface Lab {
  readonly workload: Workload;
  readonly seed: DemoHost;
  readonly hosts: readonly DemoHost[];
  /** Of each host's clone. */
  readonly uris: readonly string[];
}

/** Plays it on stdout with so many hosts. @throws DiskswarmError DEMO_FAILED when a check does not hold, ABORTED, or what went wrong. */
export async function runFleetDemo({ json, keep, signal, hosts }: DemoOptions & { hosts: number }): Promise<void> {
  const screen = openScreen(process.stdout, json);
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'diskswarm-fleet-'));
    if (!keep) undo.push(() => rm(folder, { recursive: true, force: true }));
    await perform({ screen, folder, undo, signal }, hosts, json);
    if (keep) screen.say(`\nThe hosts' folders are in ${folder}`);
  } catch (error) {
    throw signal.aborted ? new DiskswarmError('ABORTED', 'the demonstration was stopped', { cause: error }) : error;
  } finally {
    screen.close();
    for (const step of undo.reverse()) await step().catch((error: unknown) => screen.say(messageOf(error)));
  }
}

async function perform(stage: Stage, count: number, json: boolean): Promise<void> {
  const { screen } = stage;
  screen.say(`diskswarm: ${count} hosts start machines from one template at once`);
  screen.title('Set-up');
  const lab = await setUp(stage, count);
  screen.title(`${count} boots at once`);
  const outcome = outcomeOf(await bootAll(stage, lab));
  const { words, isReal } = lab.workload;
  screen.title('What it was worth');
  screen.say(indent(summaryText(outcome, SEED_UPLOAD)));
  if (!isReal) screen.say('   (replayed: places, order and pauses of the guests are recorded, the processes are real)');
  const failure = failureOf(outcome);
  if (failure !== null) throw new DiskswarmError('DEMO_FAILED', failure, { data: { ...outcome } });
  if (json)
    process.stdout.write(`${JSON.stringify({ event: 'result', ok: true, workload: words, isReal, ...outcome })}\n`);
}

/** Hosts that run, joined by one line of the seed's, each with a clone of its template. */
async function setUp(stage: Stage, count: number): Promise<Lab> {
  const { screen, folder, undo, signal } = stage;
  screen.begin('workload', 'preparing the guest');
  let said = '';
  const log = (message: string): void => {
    said = message;
    screen.live({ lines: [message], facts: { message } });
  };
  const workload = await chooseWorkload(folder, log, signal);
  if (workload.isReal) undo.push(startSweeper(folder));
  screen.end(`what runs: ${workload.words}`);
  if (!workload.isReal) screen.say(`     ${said}`);

  screen.begin('hosts', `starting a tracker, the seed and ${count} hosts, each a process with a store of its own`);
  const { seed, hosts } = await startHosts(stage, count);
  screen.end(`they are running; the seed's uplink carries ${rateText(SEED_UPLOAD)}`);

  screen.begin('template', 'the seed publishes a template; the hosts join with one line for all');
  await seed.initOwner();
  await seed.import(workload.image);
  await seed.publish();
  const line = await seed.tokenFor(count);
  await eachOf(hosts, screen, 'joined', (host) => host.join(line));
  for (const host of hosts) for (const other of [seed, ...hosts]) if (other !== host) await host.connected(other);
  screen.end(`${count} hosts came by one token, and are connected with each other`);

  screen.begin('clones', 'each host makes a clone of the template');
  const uris = await eachOf(hosts, screen, 'have a clone', (host) => host.startFleet());
  screen.end(`${count} clones, for which nothing was copied`);
  return { workload, seed, hosts, uris };
}

/** The same at all hosts at once, counted as they get there; what came of it, in their order. */
async function eachOf<Result>(
  hosts: readonly DemoHost[],
  screen: Screen,
  what: string,
  work: (host: DemoHost) => Promise<Result>,
): Promise<Result[]> {
  let done = 0;
  // All have ended before anything goes on, so that none is left running when the run is given up.
  const ended = await Promise.allSettled(
    hosts.map(async (host) => {
      const result = await work(host);
      done++;
      screen.live({ lines: [`${done} of ${hosts.length} ${what}`], facts: { done, of: hosts.length } });
      return result;
    }),
  );
  return ended.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}

async function startHosts(
  { folder, undo, signal, screen }: Stage,
  count: number,
): Promise<{ seed: DemoHost; hosts: readonly DemoHost[] }> {
  const env = {
    DISKSWARM_OWNER: path.join(folder, 'owner.key'),
    DISKSWARM_PASSPHRASE: randomBytes(16).toString('hex'),
  };
  const tracker = await startDaemon(['tracker', '--listen', LISTEN], { env, prefix: [], signal });
  undo.push(() => tracker.stop());
  const trackerUrl = String(tracker.ready.announceUrl);
  const make = (name: string, agentArgs: readonly string[]): DemoHost => {
    const host = new DemoHost({ name, folder, prefix: [], listen: LISTEN, trackerUrl, agentArgs, env, signal });
    undo.push(() => host.stop());
    return host;
  };
  const seed = make('seed', ['--upload-limit', String(SEED_UPLOAD)]);
  const hosts = Array.from({ length: count }, (_, index) => make(`lab${index + 1}`, []));
  await eachOf([seed, ...hosts], screen, 'are up', (host) => host.start());
  return { seed, hosts };
}

async function bootAll(stage: Stage, lab: Lab): Promise<FleetHost[]> {
  const { screen, undo, signal } = stage;
  const { seed, hosts, uris } = lab;
  screen.begin('boots', `${hosts.length} machines are switched on`);
  const machines: Machine[] = [];
  undo.push(() => Promise.all(machines.map((machine) => machine.stop())));
  const workloads = await Promise.all(hosts.map((_, index) => workloadOf(stage, lab, index)));
  const started = performance.now();
  for (const [index, nbdUri] of uris.entries()) machines.push((workloads[index] as Workload).boot({ nbdUri }));
  const loginsMs: (number | null)[] = hosts.map(() => null);
  const ready = Promise.all(
    machines.map(async (machine, index) => {
      await machine.ready({ timeoutMs: BOOT_MS });
      loginsMs[index] = performance.now() - started;
    }),
  );
  const over = new AbortController();
  const watching = watch(screen, lab, loginsMs, AbortSignal.any([signal, over.signal]));
  try {
    await ready;
  } finally {
    over.abort();
    await watching;
  }
  screen.end(`all ${hosts.length} guests are up`);
  const outcomes: FleetHost[] = [];
  for (const [index, host] of hosts.entries()) {
    const { touchedPieces, chunkSizeBytes } = await host.cloneStatus();
    const touchedBytes = touchedPieces * chunkSizeBytes;
    outcomes.push({
      name: host.name,
      loginMs: loginsMs[index] as number,
      touchedBytes,
      ...(await receivedBy(host, seed)),
    });
  }
  await Promise.all(machines.map((machine) => machine.stop()));
  return outcomes;
}

/** A replay holds what it reads against an image of its own; guests need none. */
async function workloadOf({ folder, signal }: Stage, { workload }: Lab, index: number): Promise<Workload> {
  if (workload.isReal) return workload;
  const own = path.join(folder, `replay${index}`);
  await mkdir(own);
  return createReplay(own, signal);
}

/** Bytes of the template that came to a host, from the seed and from other hosts. */
async function receivedBy(host: DemoHost, seed: DemoHost): Promise<Received> {
  let fromSeedBytes = 0;
  let fromOthersBytes = 0;
  for (const [source, bytes] of Object.entries((await host.status()).bytesBySource)) {
    if (source === seed.hostId) fromSeedBytes += bytes;
    else fromOthersBytes += bytes;
  }
  return { fromSeedBytes, fromOthersBytes };
}

async function watch(
  screen: Screen,
  { seed, hosts }: Lab,
  loginsMs: readonly (number | null)[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const look = Promise.all(hosts.map((host) => receivedBy(host, seed)));
    const received = await look.catch(() => []); // Not worth ending the boots for.
    if (received.length > 0) {
      const { seedSentBytes, sharedBytes } = sentTo(received);
      const up = loginsMs.filter((loginMs) => loginMs !== null).length;
      const line = `${up} of ${hosts.length} are up; the seed sent ${sizeText(seedSentBytes)}, the hosts sent each other ${sizeText(sharedBytes)}`;
      screen.live({ lines: [line], facts: { seedSentBytes, sharedBytes, up } });
    }
    await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {}); // Over.
  }
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '   ');
}
