/**
 * How a move ended: the machine runs at one host, or can be started at one, and nothing of the attempt is left.
 *
 * Looks at what both agents say, at their exports and at the modelled QEMUs.
 */
import type { ManagedDisk } from '@diskswarm/host-agent';
import type { MoveHost } from './move-host.ts';
import { type MoveWorld, VM } from './move-world.ts';

const SETTLE_MS = 240_000;
const LOOK_MS = 250;
/** What looks settled has to look so this many times in a row. */
const LOOKS = 8;

export interface End {
  /** Who owns the disks. */
  readonly host: MoveHost;
  readonly runs: boolean;
}

/** Resolves once nothing moves any more; throws where that does not happen, or something is left behind. */
export async function settled(world: MoveWorld): Promise<End> {
  let looks = 0;
  let why = '';
  for (let waitedMs = 0; waitedMs < SETTLE_MS; waitedMs += LOOK_MS) {
    await world.pause(LOOK_MS);
    const seen = look(world);
    if (typeof seen === 'string') {
      why = seen;
      looks = 0;
    } else if (++looks === LOOKS) return seen;
  }
  throw new Error(`${SETTLE_MS / 1000} s after the trouble: ${why}`);
}

/** What is not in order is a text. */
function look(world: MoveWorld): End | string {
  if (world.simulation.clock.nowUs() < world.calmUs) return 'the hosts do not reach each other';
  for (const host of world.hosts) {
    const why = restless(world, host);
    if (why !== null) return `${host.name}: ${why}`;
  }
  const owners = world.hosts.filter((host) => host.disks.every((disk) => standing(disk) === 'writable'));
  if (owners.length !== 1)
    return `the disks belong to ${world.hosts.map((host) => `${host.name}: ${host.disks.map(standing)}`).join('; ')}`;
  const host = owners[0]!;
  const other = world.other(host);
  if (other.machines().length > 0) return `${other.machines()[0]!.name} is left, and the disks are at ${host.name}`;
  const record = recordOf(host);
  const there = recordOf(other);
  if (there !== null && there.state === 'running') return `both say it runs, or ${other.name} does without its disks`;
  if (record?.state === 'running') {
    const [qemu] = host.machines();
    return qemu !== undefined && qemu.state === 'running'
      ? { host, runs: true }
      : `it is said to run at ${host.name}, and QEMU is ${qemu?.state}`;
  }
  return record?.state === 'stopped'
    ? { host, runs: false }
    : `at ${host.name}, which has the disks, it is ${record?.state}`;
}

function restless(world: MoveWorld, host: MoveHost): string | null {
  const { running } = host;
  if (running === null) return 'no agent';
  const record = recordOf(host);
  if (record !== null && ['incoming', 'inDoubt'].includes(record.state)) return `${record.state}: ${record.reason}`;
  const runner = running.migrations.leaving(VM);
  if (runner !== null && runner.state.phase !== 'ended') {
    // A machine that does not run there fetches nothing: this host stays its source.
    const arrived = runner.state.running || recordOf(world.other(host))?.state === 'stopped';
    if (runner.state.phase !== 'post' || !arrived) return `the migration is in phase ${runner.state.phase}`;
  }
  const known = running.vms.list().map(({ process }) => process?.identity?.pid);
  for (const { identity, name } of host.machines()) if (!known.includes(identity.pid)) return `nobody knows ${name}`;
  if (host.outlets.size > 0) return 'it listens for memory';
  for (const disk of host.disks) {
    if (disk.peers.link(world.other(host).hostId) === undefined) return `not connected over disk ${disk.name}`;
    if (disk.ownership.source.phase !== 'idle') return `disk ${disk.name} is ${disk.ownership.source.phase}`;
  }
  for (const { view, spec } of host.exports.values()) {
    const { kind } = view.attachment;
    if (kind !== 'writable') return `the export of ${spec.exportName} is ${kind}`;
  }
  return null;
}

function standing(disk: ManagedDisk): string {
  return disk.ownership.standing().state;
}

function recordOf(host: MoveHost): { state: string; reason: string } | null {
  return host.running?.vms.list().find(({ name }) => name === VM)?.record ?? null;
}
