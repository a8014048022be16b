/**
 * The world of one run: two agents with a relay between them, and a machine that runs at the first and may run at the second.
 *
 * Owner, disk and invitation are made once and copied for each run. The copies listen elsewhere, so the invitation's address leads nowhere and only the
 * relay leads to the other agent.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type GuestArtefacts, prepareGuest } from '@diskswarm/guest';
import { DISK } from '../e2e/network.ts';
import { Host, type Json, startTracker, temporaryFolder } from '../e2e/processes.ts';
import { machinesIn, VmGuest } from '../e2e/vm-guest.ts';
import { Markers } from './markers.ts';
import { LINK_HOST, Relay } from './relay.ts';
import type { Scope } from './scope.ts';

export const VM = 'desk';
const IMAGE = { sizeBytes: 32 * 1024 * 1024, contentBytes: 8 * 1024 * 1024, bootBytes: 1024 * 1024 };
const MEMORY = '96M';
const KEPT_OF_LOGS = 1500;

/** What every run begins with. */
export interface Template {
  readonly folder: string;
  readonly artefacts: GuestArtefacts;
}

export interface World {
  readonly folder: string;
  readonly home: Host;
  readonly office: Host;
  readonly relay: Relay;
  readonly guest: VmGuest;
  readonly markers: Markers;
  /** Starts an agent, or starts it again: at its own port, towards the relay. */
  startAgent(host: Host, env?: Readonly<Record<string, string>>): Promise<void>;
}

export interface WorldOptions {
  /** Environment of the second agent. */
  readonly officeEnv?: Readonly<Record<string, string>>;
  /** State folder of the second agent, to be filled. */
  readonly officeState?: string;
  /** Announce URL for both agents. */
  readonly tracker?: string;
  readonly memory?: string;
  /** Appended to the command line of the guest's kernel. */
  readonly kernelWords?: string;
}

/** Makes the two hosts that know each other, and a disk. */
export async function makeTemplate(scope: Scope): Promise<Template> {
  const artefacts = await prepareGuest({ image: IMAGE });
  const folder = temporaryFolder(scope.context);
  const image = path.join(folder, 'image.raw');
  fs.copyFileSync(artefacts.rootImage, image);
  const [home, office] = [new Host(scope.context, folder, 'home'), new Host(scope.context, folder, 'office')];
  await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', DISK);
  await home.invite(office, DISK);
  await office.ok('vm', 'allow', '--', ...new VmGuest(office).arguments(artefacts));
  await Promise.all([home.stop(), office.stop()]);
  fs.rmSync(image);
  return { folder, artefacts };
}

/** Copies the template and starts the agents and the machine. */
export async function startWorld(scope: Scope, template: Template, options: WorldOptions = {}): Promise<World> {
  const folder = temporaryFolder(scope.context);
  fs.cpSync(path.join(template.folder, 'home'), path.join(folder, 'home'), { recursive: true });
  const officeState = options.officeState ?? path.join(folder, 'office');
  fs.cpSync(path.join(template.folder, 'office'), officeState, { recursive: true });
  fs.cpSync(path.join(template.folder, 'owner.key'), path.join(folder, 'owner.key'));
  const home = new Host(scope.context, folder, 'home');
  const office = new Host(scope.context, folder, 'office', officeState);
  const relay = new Relay();
  scope.teardown(() => relay.close());
  const ports = new Map([
    [home, await relay.listen('back')],
    [office, await relay.listen('there')],
  ]);
  const startAgent = async (host: Host, env: Readonly<Record<string, string>> = {}): Promise<void> => {
    const other = host === home ? office : home;
    const args = ['--listen', `127.0.0.1:${ports.get(host)}`, '--peer', `${LINK_HOST}:${ports.get(other)}`];
    if (options.tracker !== undefined) args.push('--tracker', options.tracker);
    await host.start({ args, env: { DISKSWARM_ACCEL: 'tcg', ...(host === office ? options.officeEnv : {}), ...env } });
  };
  scope.teardown(() => {
    for (const pid of new Set([folder, officeState].flatMap(machinesIn))) process.kill(pid, 'SIGKILL');
    if (!scope.passed) for (const host of [home, office]) scope.log(logsOf(host));
  });
  await Promise.all([startAgent(home), startAgent(office)]);
  const guest = new VmGuest(home);
  const args = guest.arguments(template.artefacts);
  if (options.kernelWords !== undefined) {
    args[args.indexOf('-append') + 1] += ` ${options.kernelWords}`;
    await office.ok('vm', 'allow', '--', ...args);
  }
  const starting = home.ok('vm', 'start', VM, '--disk', DISK, '--memory', options.memory ?? MEMORY, '--', ...args);
  await Promise.all([starting, home.connectedTo(office)]);
  await guest.ready();
  return { folder, home, office, relay, guest, markers: new Markers(guest), startAgent };
}

/** A tracker of the run; its announce URL and its end. */
export async function trackerOf(scope: Scope): Promise<{ readonly url: string; readonly crash: () => Promise<void> }> {
  const tracker = await startTracker(scope.context);
  return { url: String(tracker.ready.announceUrl), crash: () => tracker.crash() };
}

/** The machine as a host tells it; null where the host does not know it. */
export async function vmOf(host: Host): Promise<Json | null> {
  const { vms } = (await host.call('vm.ls', {})) as { vms: Json[] };
  return vms.find(({ name }) => name === VM) ?? null;
}

/** Machines run in the folder of their host, and outlive its agent. A folder in another mount namespace is named as it is there. */
export function machinesOf(host: Host): number[] {
  const inside = /^\/proc\/\d+\/root(\/.*)$/.exec(host.state)?.[1];
  return machinesIn(inside ?? fs.realpathSync(host.state));
}

function logsOf(host: Host): string {
  const texts: [string, string][] = [['agent', host.daemon?.stderr ?? '']];
  for (const kind of ['qemu', 'console']) {
    const file = path.join(host.state, 'machines', `${VM}.${kind}.log`);
    texts.push([kind, fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '']);
  }
  const said = texts.filter(([, text]) => text.trim() !== '');
  return said.map(([kind, text]) => `${host.name}, ${kind}: ${text.trim().slice(-KEPT_OF_LOGS)}`).join('\n');
}
