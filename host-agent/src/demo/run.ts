/**
 * `diskswarm demo`: sets the stage, has the story played, says the verdict, and leaves nothing behind.
 *
 * Processes, networks and folders are given back in the reverse order of their making, on success, failure and Ctrl-C alike.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { DemoHost } from './host.ts';
import { type Link, openLink, type Side } from './link.ts';
import { startDaemon } from './processes.ts';
import { openScreen, type Screen } from './screen.ts';
import { type Cast, play } from './story.ts';
import { startSweeper } from './sweeper.ts';
import { checksOf, comparisonText, liveText } from './verdict.ts';
import { chooseWorkload, LINE_SOCKET, type Workload } from './workload.ts';

export interface DemoOptions {
  /** One object per line on stdout, the last one the result. */
  readonly json: boolean;
  /** Leave the folder of the run behind. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

/** Plays the demonstration on stdout. @throws DiskswarmError DEMO_FAILED when a check does not hold, ABORTED, or what went wrong. */
export async function runDemo({ json, keep, signal }: DemoOptions): Promise<void> {
  const screen = openScreen(process.stdout, json);
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'diskswarm-demo-'));
    if (!keep) undo.push(() => rm(folder, { recursive: true, force: true }));
    await perform(screen, { folder, json, undo, signal });
    if (keep) screen.say(`\nThe hosts' folders are in ${folder}`);
  } catch (error) {
    throw signal.aborted ? new DiskswarmError('ABORTED', 'the demonstration was stopped', { cause: error }) : error;
  } finally {
    screen.close();
    for (const step of undo.reverse()) await step().catch((error: unknown) => screen.say(messageOf(error)));
  }
}

interface Performance {
  readonly folder: string;
  readonly json: boolean;
  /** What gives back what was made, in the order of making. */
  readonly undo: (() => Promise<unknown>)[];
  readonly signal: AbortSignal;
}

async function perform(screen: Screen, { folder, json, undo, signal }: Performance): Promise<void> {
  screen.say('diskswarm: a VM boots at a new site from the hosts its disk has been on');
  screen.title('Set-up');
  screen.begin('workload', 'preparing the guest');
  let said = '';
  const log = (message: string): void => {
    said = message;
    screen.live({ lines: [message], facts: { message } });
  };
  const workload = await chooseWorkload(folder, log, signal);
  screen.end(`what runs: ${workload.words}`);
  if (!workload.isReal) screen.say(`     ${said}`);
  const link = await openLink();
  undo.push(() => link.close());
  if (workload.isReal) undo.push(startSweeper(folder));
  screen.begin('hosts', 'starting a tracker and three hosts, each a process with a store of its own');
  const cast = await startCast(folder, link, undo, signal);
  screen.end('a tracker, home, office and hotel are running');
  screen.say(`     the line to hotel: ${link.words}`);

  const args = workload.qemuArgs;
  const live = args === null ? null : { args, lineSocket: LINE_SOCKET, ...link.back };
  const outcome = await play({ screen, workload, cast, folder, live, signal });
  const checks = checksOf(outcome);
  const ok = checks.every((check) => check.ok);
  screen.title('What it was worth');
  if (json) screen.close();
  else {
    screen.say(indent(comparisonText(outcome)));
    if (outcome.live !== null) screen.say(`\n${indent(liveText(outcome.live))}`);
  }
  if (!workload.isReal)
    screen.say('   (replayed: places, order and pauses of the guest are recorded, the processes are real)');
  screen.title('Checks');
  for (const check of checks) screen.say(`   ${check.ok ? 'holds ' : 'FAILED'}  ${check.text}`);
  const failed = checks.filter((check) => !check.ok).map((check) => check.name);
  const facts = factsOf(workload, link);
  if (!ok) {
    throw new DiskswarmError('DEMO_FAILED', `these checks did not hold: ${failed.join(', ')}`, {
      data: { ...facts, ...outcome, checks },
    });
  }
  screen.say(`\n${outcome.live === null ? 'hotel' : 'office'}: this host no longer needs the others`);
  if (json) process.stdout.write(`${JSON.stringify({ event: 'result', ok, ...facts, ...outcome, checks })}\n`);
}

async function startCast(
  folder: string,
  link: Link,
  undo: (() => Promise<unknown>)[],
  signal: AbortSignal,
): Promise<Cast> {
  const env = {
    DISKSWARM_OWNER: path.join(folder, 'owner.key'),
    DISKSWARM_PASSPHRASE: randomBytes(16).toString('hex'),
    // As for the guests that the demonstration runs itself: /dev/kvm may be there and not work.
    DISKSWARM_ACCEL: process.env.DISKSWARM_ACCEL === 'kvm' ? 'kvm' : 'tcg',
  };
  const { prefix, listen } = link.old;
  const tracker = await startDaemon(['tracker', '--listen', listen], { env, prefix, signal });
  undo.push(() => tracker.stop());
  const trackerUrl = String(tracker.ready.announceUrl);
  const make = (name: string, side: Side): DemoHost => {
    const host = new DemoHost({ name, folder, ...side, trackerUrl, env, signal });
    undo.push(() => host.stop());
    return host;
  };
  const [home, office] = [make('home', link.old), make('office', link.old)];
  const [hotel, copier] = [make('hotel', link.new), make('copier', link.new)];
  // All of them are up or down before anything goes on, so that none is left starting when the run is given up.
  const started = await Promise.allSettled([home, office, hotel].map((host) => host.start()));
  for (const start of started) if (start.status === 'rejected') throw start.reason;
  return { home, office, hotel, copier, stopTracker: () => tracker.stop() };
}

function factsOf(workload: Workload, link: Link): { workload: string; isReal: boolean; line: string } {
  return { workload: workload.words, isReal: workload.isReal, line: link.words };
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `   ${line}`)
    .join('\n');
}
