/**
 * The demonstration itself: a VM that moves home → office → hotel while its disk follows in chunks, what copying would have cost, and the way back to
 * office while it runs (live-move.ts).
 *
 * Each act drives real processes through the CLI and returns what it measured. Judging that is verdict.ts's, drawing it the screen's.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { sizeText } from '../cli/words.ts';
import type { DemoHost } from './host.ts';
import { type LiveMove, type LiveSettings, liveMove } from './live-move.ts';
import { type Screen, timeText } from './screen.ts';
import { type Figures, faultsText, figuresOf, watching } from './watch.ts';
import { FILES, type Machine, type PlannedFile, type Workload } from './workload.ts';

const COMPLETE_SECONDS = 180;
const SAFE_SECONDS = 60;

/** Who plays. */
export interface Cast {
  readonly home: DemoHost;
  readonly office: DemoHost;
  readonly hotel: DemoHost;
  /** A fresh host on the hotel's line that does it the usual way. */
  readonly copier: DemoHost;
  /** Stops the tracker. */
  readonly stopTracker: () => Promise<void>;
}

/** How a guest got to its login. */
export interface Login {
  /** From asking for the disk to the guest's login. */
  readonly durationMs: number;
  /** Bytes that had come over the line by then. */
  readonly receivedBytes: number;
}

/** What was measured. */
export interface Outcome {
  readonly copyFirst: Login;
  readonly onDemand: Login & { readonly figures: Figures };
  /** Files that the guest found intact: at hotel with the others there, and after they were stopped. */
  readonly filesChecked: number;
  readonly filesCheckedAlone: number;
  readonly filesWritten: number;
  /** By host, of everything that hotel fetched. */
  readonly bytesFrom: Readonly<Record<string, number>>;
  readonly hotelComplete: boolean;
  readonly homeSafe: boolean;
  readonly officeSafe: boolean;
  /** Null without QEMU: nothing runs that could move. */
  readonly live: LiveMove | null;
}

/** What the acts share. */
export interface Stage {
  readonly screen: Screen;
  readonly workload: Workload;
  readonly cast: Cast;
  /** The folder of the run. */
  readonly folder: string;
  /** Null where no machine can run. */
  readonly live: LiveSettings | null;
  readonly signal: AbortSignal;
}

/** Plays all of it. @throws DiskswarmError of whatever goes wrong; machines are stopped, hosts are the caller's to stop. */
export async function play(stage: Stage): Promise<Outcome> {
  await atHome(stage);
  await atOffice(stage);
  const copyFirst = await theUsualWay(stage);
  const outcome = await atHotel(stage, copyFirst);
  return { ...outcome, live: await backLive(stage) };
}

async function atHome({ screen, workload, cast: { home } }: Stage): Promise<void> {
  screen.title('Home: where the disk begins');
  screen.begin('import', 'home imports the disk image');
  await home.initOwner();
  const disk = await home.import(workload.image);
  screen.end(`the disk is at home: ${sizeText(disk.sizeBytes)}, of which ${sizeText(disk.importedBytes)} are data`);
  await workAt(home, { screen, workload, files: FILES.home });
}

async function atOffice({ screen, workload, cast: { home, office } }: Stage): Promise<void> {
  screen.title('Office: the first move');
  screen.begin('office-join', 'home invites office, and office takes the disk');
  await home.invite(office, 'writer');
  await office.take();
  screen.end('the disk belongs to office now; its data is still at home');
  await workAt(office, { screen, workload, files: FILES.office, hosts: [home] });
}

/** Boots at `host`, writes files, shuts down and seals. */
async function workAt(
  host: DemoHost,
  options: { screen: Screen; workload: Workload; files: readonly PlannedFile[]; hosts?: readonly DemoHost[] },
): Promise<void> {
  const { screen, workload, files, hosts } = options;
  const { uri } = await host.attach();
  const names = files.map(({ name }) => name).join(', ');
  screen.begin(`${host.name}-boot`, `the guest boots at ${host.name}`);
  const machine = workload.boot({ nbdUri: uri });
  try {
    await (hosts === undefined ? machine.ready() : watching(screen, host, hosts, machine.ready()));
    screen.end(`the guest is up at ${host.name}`);
    screen.begin(`${host.name}-write`, `it writes ${names}`);
    for (const { name, sizeBytes, seed } of files) await machine.write(name, sizeBytes, seed);
    await machine.poweroff();
    screen.end(`it wrote ${names} and shut down`);
  } finally {
    await machine.stop();
  }
  screen.begin(`${host.name}-seal`, `${host.name} seals what was written`);
  const { sequence, changedPieces } = await host.seal();
  screen.end(`generation ${sequence} is sealed and signed: ${changedPieces} pieces differ from the one before`);
}

/** A fresh host on the same line copies the whole disk, then boots from the copy. */
async function theUsualWay({ screen, workload, cast, folder }: Stage): Promise<Login> {
  const { home, office, copier } = cast;
  screen.title('The usual way, to compare: copy the whole disk, then boot');
  await copier.start();
  await office.invite(copier, 'reader');
  screen.begin('copy', 'a fresh host copies everything over the line');
  const copyStarted = performance.now();
  await watching(
    screen,
    copier,
    [home, office],
    copier.pull(() => {}),
  );
  const copyMs = performance.now() - copyStarted;
  const { receivedBytes } = await figuresOf(copier, [home, office]);
  screen.end(`${sizeText(receivedBytes)} were copied`);
  const file = path.join(folder, 'copy.raw');
  await copier.export(file);
  await copier.stop();
  screen.begin('copy-boot', 'and then the guest boots from the copy');
  const bootStarted = performance.now();
  const machine = workload.boot({ file });
  try {
    await machine.ready();
  } finally {
    await machine.stop();
  }
  const durationMs = copyMs + performance.now() - bootStarted;
  await rm(file);
  screen.end(`login ${timeText(durationMs)} after the copy began`);
  return { durationMs, receivedBytes };
}

async function backLive({ screen, cast: { hotel, office }, live, signal }: Stage): Promise<LiveMove | null> {
  if (live !== null) return liveMove({ screen, hotel, office, settings: live, signal });
  screen.title('Back to office, live: left out');
  screen.say('     a machine that moves while it runs needs QEMU, and here a recorded boot is replayed');
  return null;
}

async function atHotel(stage: Stage, copyFirst: Login): Promise<Omit<Outcome, 'live'>> {
  const { screen, workload, cast } = stage;
  const { home, office, hotel } = cast;
  screen.title('Hotel: nothing of the disk is here, and the guest boots at once');
  screen.begin('hotel-join', 'office invites hotel, whose store is empty');
  await office.invite(hotel, 'writer');
  screen.end('hotel knows the disk and holds none of it');

  screen.begin('hotel-boot', 'hotel takes the disk and the guest boots; what it waits for comes first');
  const started = performance.now();
  await hotel.take();
  const { uri } = await hotel.attach();
  const machine = workload.boot({ nbdUri: uri });
  try {
    await watching(screen, hotel, [home, office], machine.ready());
    const durationMs = performance.now() - started;
    const figures = await figuresOf(hotel, [home, office]);
    const onDemand = { durationMs, receivedBytes: figures.receivedBytes, figures };
    screen.end(`login after ${timeText(durationMs)}`, { ...figures });
    screen.say(`     ${faultsText(figures)}`);
    screen.say('     what earlier boots touched comes first; a chunk that the guest waits for overtakes all');
    const { usedBytes, sizeBytes, receivedBytes } = figures;
    screen.say(`     to be up the guest used ${sizeText(usedBytes)}, ${percentText(usedBytes, sizeBytes)} of the disk`);
    screen.say(`     ${sizeText(receivedBytes)} had come by then: ${sourcesText(figures)}`);
    screen.begin('hotel-check', 'the guest checks every file that was written at home and at the office');
    const filesChecked = await watching(screen, hotel, [home, office], machine.checkAll());
    screen.end(`${filesChecked} files are there, byte for byte`);
    screen.say(`     ${faultsText(await figuresOf(hotel, [home, office]))}`);
    return { copyFirst, onDemand, filesChecked, ...(await lettingGo(stage, machine)) };
  } finally {
    await machine.stop();
  }
}

/** The rest comes in; then the hosts before are stopped and the guest goes on alone. */
async function lettingGo(
  { screen, cast: { home, office, hotel, stopTracker } }: Stage,
  machine: Machine,
): Promise<Omit<Outcome, 'copyFirst' | 'onDemand' | 'filesChecked' | 'live'>> {
  screen.title('Letting go: the rest follows behind, then the old hosts are not needed');
  screen.begin('complete', 'the rest of the disk comes in while the guest runs');
  const info = await watching(screen, hotel, [home, office], hotel.waitFor('complete', COMPLETE_SECONDS));
  const hotelComplete = info.piecesPresent + info.piecesZero === info.piecesTotal;
  const figures = await figuresOf(hotel, [home, office]);
  screen.end(`hotel has all of it: ${sourcesText(figures)}`);
  screen.say('     this host no longer needs the others');

  screen.begin('safe', 'home and office wait for the receipt that says they may be switched off');
  const [atHome, atOffice] = await Promise.all([
    home.waitFor('safe', SAFE_SECONDS),
    office.waitFor('safe', SAFE_SECONDS),
  ]);
  screen.end('home and office may be switched off: hotel signed that it has everything');

  screen.begin('alone', 'home, office and the tracker are stopped; the guest reboots and reads everything again');
  await Promise.all([home.stop(), office.stop(), stopTracker()]);
  await machine.reboot();
  const filesCheckedAlone = await machine.checkAll();
  await machine.poweroff();
  screen.end(`${filesCheckedAlone} files are there with hotel alone`);
  return {
    filesCheckedAlone,
    filesWritten: FILES.home.length + FILES.office.length,
    bytesFrom: figures.bytesFrom,
    hotelComplete,
    homeSafe: atHome.safeToSwitchOff,
    officeSafe: atOffice.safeToSwitchOff,
  };
}

function sourcesText({ bytesFrom }: Figures): string {
  const parts = Object.entries(bytesFrom).map(([name, bytes]) => `${sizeText(bytes)} from ${name}`);
  return parts.length === 0 ? 'none over the line' : parts.join(' and ');
}

function percentText(part: number, whole: number): string {
  return `${((part * 100) / whole).toFixed(1)} %`;
}
