/**
 * Moves by diskswarm: an agent at each end of the line, as users run it. The others are in qemu-moves.ts.
 */
import { join } from 'node:path';
import { type GuestArtefacts, guestArguments } from '@diskswarm/guest';
import type { ControlParams } from '@diskswarm/host-agent';
import type { Line } from '../link/link.ts';
import { check } from '../row.ts';
import { AgentHost } from './agent-host.ts';
import { type Move, type MoveOptions, measure, memoryOf } from './measure-move.ts';
import { copyOut } from './nbd-servers.ts';
import { LINE_SOCKET } from './qemu.ts';

/** An agent at each end; the disk `root` is at `from`. */
export interface Hosts {
  readonly from: AgentHost;
  readonly to: AgentHost;
}

export interface AgentMoveOptions extends MoveOptions {
  readonly mode: 'precopy' | 'hybrid' | 'postcopy';
  readonly hosts?: Hosts;
  /** How the memory moves, where it is not the default. */
  readonly memory?: Partial<Pick<ControlParams<'vm.migrate'>, 'memory' | 'compress' | 'autoConverge'>>;
}

/** Moves by agents: memory and disk. `mode` as in `vm migrate --disk`. */
export async function moveByAgents(options: AgentMoveOptions): Promise<Move> {
  const { folder, line, artefacts, mode } = options;
  const { from, to } = options.hosts ?? (await startHosts(folder, line));
  if (options.hosts === undefined) {
    await from.import(artefacts.rootImage, 'root');
    await from.invite(to, 'root');
  }
  const lineOf = await startMachine({ from, to }, artefacts, options.args, memoryOf(options));
  try {
    const move = await measure(options, lineOf(from), lineOf(to), async () => {
      await from.call('vm.migrate', {
        ...{ name: 'desk', to: to.hostId, plan: false, disk: mode, maxDowntimeMs: 300 },
        ...{ bandwidthBytesPerSecond: null, throttle: 'bradford', compress: true, autoConverge: false },
        ...{ memory: 'precopy', ...options.memory },
      });
      const { record } = await from.call('vm.migrateStatus', { name: 'desk', watch: true });
      check(record.result === 'done', `the move ended as ${record.result}: ${record.code}, ${record.message}`);
      options.record?.('record', performance.now(), record);
      const [first, second] = record.rounds as { atMs: number }[];
      const firstRoundMs = Number(second?.atMs ?? record.memoryAtMs) - Number(first?.atMs);
      return { stopToResumeMs: Number(record.stopToRunningMs), firstRoundMs };
    });
    if (move.ended && options.arrived !== undefined) {
      await to.call('vm.stop', { name: 'desk', force: true });
      const copy = join(folder, 'arrived.raw');
      await copyOut(await to.attach('root', { readOnly: true }), copy);
      await options.arrived(copy);
    }
    return move;
  } finally {
    await to.call('vm.stop', { name: 'desk', force: true }).catch(() => null); // It never got there.
    await from.call('vm.stop', { name: 'desk', force: true }).catch(() => null);
    if (options.hosts === undefined) for (const host of [from, to]) await host.stop();
  }
}

/** Starts the machine `desk` on the disk `root`, and lets it come to the other host; where the line to its guest is at each. */
export async function startMachine(
  { from, to }: Hosts,
  artefacts: GuestArtefacts,
  more: readonly string[] = [],
  memoryMib = 128,
): Promise<(host: AgentHost) => string> {
  const args = [...guestArguments({ ...artefacts, protocolSocket: LINE_SOCKET }), ...more];
  await to.call('vm.allow', { args });
  await from.call('vm.start', { name: 'desk', disks: ['root'], memoryBytes: memoryMib * 2 ** 20, cpus: 1, args });
  return (host) => join(host.stateDir, 'machines', LINE_SOCKET);
}

/** Two agents that know each other, one at each end of the line. */
export async function startHosts(folder: string, line: Line): Promise<Hosts> {
  const { far, near } = line;
  const from = new AgentHost({ stateDir: join(folder, 'from'), prefix: far.prefix, listen: `${far.address}:0` });
  const to = new AgentHost({ stateDir: join(folder, 'to'), prefix: near.prefix, listen: `${near.address}:0` });
  await from.start();
  await to.start();
  return { from, to };
}
