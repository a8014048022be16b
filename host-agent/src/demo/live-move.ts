/**
 * The last act: a machine that runs under hotel's agent moves back to office while its guest ticks and writes.
 *
 * What the guest says is heard on its serial line at both hosts, so the gap is the one that somebody at the other end notices.
 */
import { DiskswarmError, hasCode } from '@diskswarm/core';
import { expectedJournalSha256 } from '@diskswarm/guest';
import { latencyText, sizeText } from '../cli/words.ts';
import type { MigrationStatus } from '../control/methods.ts';
import { GuestLine } from './guest-line.ts';
import type { DemoHost } from './host.ts';
import type { Screen } from './screen.ts';

/** Ticks that the guest is heard for before the move and after it. */
const TICKS = 250;
/** Writes that it makes before and after. */
const WRITES = 10;
const SAFE_SECONDS = 60;

/** What was measured. */
export interface LiveMove {
  /** From the wish until the machine ran at office. */
  readonly durationMs: number;
  /** The longest silence of a ticker of 10 ms, heard from outside: while it stayed where it was, and across the move. */
  readonly silenceBeforeMs: number;
  readonly silenceMs: number;
  /** From QEMU's STOP until office's word that it runs. */
  readonly stopToRunningMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Ticks that were lost or came twice. */
  readonly missedTicks: number;
  /** Writes that the guest was told are durable: before it ran at office, and all of them. */
  readonly writesBefore: number;
  readonly writesTold: number;
  /** Writes that were on the disk at the end, and whether every byte of them was right. */
  readonly writesFound: number;
  readonly writesIntact: boolean;
  readonly filesChecked: number;
  /** The machine runs at office, which owns its disk, and hotel may be switched off. */
  readonly isAtOffice: boolean;
}

/** How the machine is run and moved. */
export interface LiveSettings {
  /** Of QEMU. */
  readonly args: readonly string[];
  /** Name of the socket in them that the guest's line is at, in the folder that QEMU runs in. */
  readonly lineSocket: string;
  /** Of `vm migrate`. */
  readonly migrateArgs: readonly string[];
  /** Of office's agent. */
  readonly agentArgs: readonly string[];
}

interface Stage {
  readonly screen: Screen;
  readonly hotel: DemoHost;
  readonly office: DemoHost;
  readonly settings: LiveSettings;
  readonly signal: AbortSignal;
}

/** Plays it. The machine is off at the end, or the caller's to end when this throws. */
export async function liveMove(stage: Stage): Promise<LiveMove> {
  const line = new GuestLine(stage.signal);
  try {
    const silenceBeforeMs = await atWork(stage, line);
    const moved = await move(stage, line);
    return { silenceBeforeMs, ...moved, ...(await afterwards(stage, line)), missedTicks: line.missedTicks };
  } finally {
    line.close();
  }
}

/** The longest silence while it stays where it is. */
async function atWork({ screen, hotel, office, settings }: Stage, line: GuestLine): Promise<number> {
  screen.title('Back to office, live: the machine moves while it runs');
  screen.begin('live-start', "office comes back; hotel's agent starts the machine");
  await hotel.detach();
  await office.start({ peer: hotel, agentArgs: settings.agentArgs });
  await office.allow(settings.args);
  line.listen('hotel', hotel.socketOf(settings.lineSocket));
  await hotel.startVm(settings.args);
  await line.ready();
  await hotel.connected(office);
  screen.end('the guest is up at hotel');
  screen.begin('live-work', 'it ticks every 10 ms and writes, each write with fsync');
  await line.command('work');
  line.takeLongestSilenceMs();
  await line.until('the guest works', () => line.ticksAt('hotel') >= TICKS && line.durableWrites >= WRITES);
  const silenceMs = line.takeLongestSilenceMs();
  screen.end(
    `${line.durableWrites} writes are durable; between two ticks it was silent for ${latencyText(silenceMs * 1000)} at most`,
  );
  return silenceMs;
}

type Moved = Pick<
  LiveMove,
  'durationMs' | 'silenceMs' | 'writesBefore' | 'stopToRunningMs' | 'memoryBytes' | 'diskBytes'
>;

async function move({ screen, hotel, office, settings }: Stage, line: GuestLine): Promise<Moved> {
  screen.begin('live-move', 'it moves to office, memory and disk, and goes on working');
  line.listen('office', office.socketOf(settings.lineSocket));
  let warnings: readonly string[] = [];
  const show = (status: MigrationStatus): void => {
    warnings = (status.record.warnings as readonly string[] | undefined) ?? warnings;
    screen.live({ lines: linesOf(status, line), facts: factsOf(status) });
  };
  const started = performance.now();
  await hotel.migrate(office, settings.migrateArgs, show);
  const durationMs = performance.now() - started;
  const writesBefore = line.durableWrites;
  await line
    .until(
      'the guest works at office',
      () => line.ticksAt('office') >= TICKS && line.durableWrites >= writesBefore + WRITES,
    )
    .catch((error: unknown) => {
      if (warnings.length === 0 || !hasCode(error, 'TIMEOUT')) throw error;
      throw new DiskswarmError('TIMEOUT', `${error.message}. ${warnings.join('. ')}. Run the demo again`, {
        cause: error,
      });
    });
  const silenceMs = line.takeLongestSilenceMs();
  screen.end(`it runs at office, and was silent for ${latencyText(silenceMs * 1000)} on the way`);
  screen.begin('live-free', 'hotel waits until office has everything, and is stopped');
  await hotel.waitFor('safe', SAFE_SECONDS);
  const { record } = await hotel.migrationOver(show);
  const number = (key: string): number => (typeof record[key] === 'number' ? record[key] : Number.NaN);
  await hotel.stop();
  const [memoryBytes, diskBytes] = [number('memoryBytes'), number('diskBytes')];
  screen.end(
    `${sizeText(memoryBytes)} of memory and ${sizeText(diskBytes)} of the disk were moved, which office did not have; hotel is off`,
    {
      record,
    },
  );
  return { durationMs, silenceMs, writesBefore, stopToRunningMs: number('stopToRunningMs'), memoryBytes, diskBytes };
}

type Afterwards = Pick<LiveMove, 'writesTold' | 'writesFound' | 'writesIntact' | 'filesChecked' | 'isAtOffice'>;

async function afterwards({ screen, office }: Stage, line: GuestLine): Promise<Afterwards> {
  screen.begin('live-check', 'the guest reads back every write and every file, with office alone');
  const [, found, sha256] = await line.command('rest');
  const writesTold = line.durableWrites;
  const writesFound = Number(found);
  const [, files] = await line.command('checkall');
  const [vm, disk] = [await office.vm(), await office.info()];
  await line.command('poweroff');
  await office.vmStopped();
  screen.end(`${writesFound} writes and ${files} files are there`);
  return {
    writesTold,
    writesFound,
    writesIntact: sha256 === expectedJournalSha256(writesFound),
    filesChecked: Number(files),
    isAtOffice: vm.state === 'running' && disk.ownerHostId === office.hostId,
  };
}

const PHASES: Readonly<Record<string, string>> = {
  preparing: 'office is asked whether it can run there',
  bulk: 'the disk goes first',
  rounds: 'what was written meanwhile follows',
  memory: 'the memory follows',
  switchover: 'the guest is paused: the last writes are sealed',
  confirming: 'the guest is paused: office takes over',
  relinquishing: 'office takes over',
  post: 'it runs at office; the rest of the disk follows',
  ended: 'office has everything',
};

function linesOf({ phase, missingBytes, memoryBytes }: MigrationStatus, line: GuestLine): string[] {
  return [
    PHASES[phase] ?? phase,
    `of the disk, to go ${sizeText(missingBytes ?? 0)}; of memory, sent ${sizeText(memoryBytes)}`,
    `the guest: ${line.durableWrites} writes are durable`,
  ];
}

function factsOf({ phase, round, missingBytes, memoryBytes }: MigrationStatus): Record<string, unknown> {
  return { migration: phase, round, missingBytes, memoryBytes };
}
