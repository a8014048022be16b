/**
 * How a run ended, and whether that is allowed: the machine runs at one host, or can be started at one, or is said to be in doubt.
 *
 * Looks only at what users see, at processes, and at sockets. What it finds wrong is a list of sentences; an empty one is a run that kept the promise.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DISK } from '../e2e/network.ts';
import { eventually, type Host, type Json } from '../e2e/processes.ts';
import { machinesOf, VM, vmOf, type World } from './world.ts';

export type End = 'stayed at source' | 'moved' | 'in doubt' | 'lost';

export interface Verdict {
  readonly end: End;
  readonly wrong: readonly string[];
}

const SETTLE_MS = 60_000;
/** What looks settled has to look so this many times in a row. */
const LOOKS = 8;
const LEAVE_MS = 15_000;
const RUNNABLE: readonly unknown[] = ['running', 'stopped'];

interface Sight {
  readonly home: Json | null;
  readonly office: Json | null;
  readonly homeDisk: Json;
  readonly officeDisk: Json;
}

/** Waits until both hosts say the same; both agents run. */
export async function judge(world: World): Promise<Verdict> {
  const wrong: string[] = [];
  const { end, last } = await settled(world);
  await world.markers.stop();
  if (end === 'lost') return { end, wrong: [`nobody knows where the machine is: ${JSON.stringify(last)}`] };
  if (end === 'in doubt') {
    for (const host of [world.home, world.office]) {
      const { exitCode } = await host.run(['vm', 'start', VM]);
      if (exitCode === 0) wrong.push(`in doubt, and ${host.name} started it`);
    }
    return { end, wrong };
  }
  const [here, there] = end === 'moved' ? [world.office, world.home] : [world.home, world.office];
  try {
    await runsAt(world, here, there, wrong);
  } catch (error) {
    return { end: 'lost', wrong: [...wrong, `the machine is not to be had: ${String(error)}`] };
  }
  return { end, wrong };
}

/** Ends everything in order: nothing of the run may stay. */
export async function leave(world: World): Promise<string[]> {
  const wrong: string[] = [];
  for (const host of [world.home, world.office]) {
    const vm = host.daemon?.running === true ? await vmOf(host) : null;
    if (vm?.pid != null) await host.call('vm.stop', { name: VM, force: true });
    const tooLong = setTimeout(() => {
      wrong.push(`the agent of ${host.name} did not end within ${LEAVE_MS} ms`);
      host.daemon?.kill('SIGKILL');
    }, LEAVE_MS);
    await host.stop();
    clearTimeout(tooLong);
    for (const pid of machinesOf(host)) {
      wrong.push(`process ${pid} stayed behind at ${host.name}`);
      process.kill(pid, 'SIGKILL');
    }
  }
  const sockets = fs.readFileSync('/proc/net/unix', 'utf8').split('\n');
  for (const line of sockets) if (line.includes(world.folder)) wrong.push(`a socket stayed open: ${line}`);
  return wrong;
}

async function settled(world: World): Promise<{ end: End; last: Sight | null }> {
  let last: Sight | null = null;
  let end: End = 'lost';
  let looks = 0;
  await eventually(
    'both hosts agree',
    async () => {
      last = await look(world);
      const now = endOf(world, last);
      looks = now === end ? looks + 1 : 0;
      end = now;
      return (end === 'stayed at source' || end === 'moved') && looks >= LOOKS;
    },
    SETTLE_MS,
  ).catch(() => {});
  return { end, last };
}

async function look({ home, office }: World): Promise<Sight> {
  const [homeVm, officeVm, homeDisk, officeDisk] = await Promise.all([
    vmOf(home),
    vmOf(office),
    home.info(DISK),
    office.info(DISK),
  ]);
  return { home: homeVm, office: officeVm, homeDisk, officeDisk };
}

function endOf(world: World, { home, office, homeDisk, officeDisk }: Sight): End {
  const owner = homeDisk.ownerHostId === officeDisk.ownerHostId ? homeDisk.ownerHostId : null;
  const gone = office === null || (office.pid === null && office.state !== 'incoming');
  if (RUNNABLE.includes(home?.state) && gone && owner === world.home.id && officeDisk.attached === null)
    return 'stayed at source';
  if (home?.state === 'moved' && home.pid === null && RUNNABLE.includes(office?.state) && owner === world.office.id)
    return 'moved';
  return home?.state === 'inDoubt' ? 'in doubt' : 'lost';
}

async function runsAt(world: World, here: Host, there: Host, wrong: string[]): Promise<void> {
  const { guest, markers } = world;
  const vm = await vmOf(here);
  if (vm?.state === 'stopped') await here.ok('vm', 'start', VM);
  guest.host = here;
  await guest.ready(); // With all of its files as their records say.
  const missing = await markers.missing();
  if (missing.length > 0) wrong.push(`of ${markers.count} durable markers these are lost: ${missing.join(' ')}`);
  await markers.write().catch((error: unknown) => wrong.push(`the guest cannot write: ${String(error)}`));
  const [machines, others] = [machinesOf(here), machinesOf(there)];
  if (machines.length !== 1) wrong.push(`${machines.length} machines run at ${here.name}`);
  if (others.length !== 0) wrong.push(`${others.length} machines run at ${there.name}, which has none`);
  const { attached } = await there.info(DISK);
  if (attached !== null) wrong.push(`the disk is attached at ${there.name}: ${JSON.stringify(attached)}`);
  wrong.push(...socketsOf(here, ['in', 'out']), ...socketsOf(there, ['in', 'out', 'qmp', 'con']));
}

/** Sockets of the machine that serve nobody any more. */
function socketsOf(host: Host, kinds: readonly string[]): string[] {
  const files = fs.readdirSync(host.state, { recursive: true, encoding: 'utf8' });
  return kinds
    .map((kind) => `vm-${VM}.${kind}.sock`)
    .filter((name) => files.some((file) => path.basename(file) === name))
    .map((name) => `socket ${name} stayed behind at ${host.name}`);
}
