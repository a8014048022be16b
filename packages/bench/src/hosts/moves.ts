/**
 * One running machine moved over one line, by us and by others, measured from the outside in the same way.
 *
 * The guest, its machine, its disk and the line are the same for all. The line's own counter gives the bytes, this process
 * hears the guest's ticks and writes, and after the move the guest reads back what it wrote before.
 */
import { copyFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuestArtefacts, guestArguments } from '@diskswarm/guest';
import type { ControlParams } from '@diskswarm/host-agent';
import type { Line } from '../link/link.ts';
import { pause, run, serve } from '../programs.ts';
import { check } from '../row.ts';
import { AgentHost } from './agent-host.ts';
import { GuestLine } from './guest-line.ts';
import { LINE_SOCKET, Qemu } from './qemu.ts';

const MEMORY_MIB = 128;
const REGION_MIB = 32;
const MIRROR_PORT = 10_809;
const MEMORY_PORT = 10_810;
/** How long writes are watched before the move. */
const BEFORE_MS = 6000;
const MOVE_LIMIT_MS = 300_000;

/** An agent at each end; the disk `root` is at `from`. */
export interface Hosts {
  readonly from: AgentHost;
  readonly to: AgentHost;
}

/** What one move was like. */
export interface Move {
  /** From the command until nothing depends on the source, or the limit. */
  readonly totalMs: number;
  readonly wireBytes: number;
  readonly stopToResumeMs: number;
  /** Longest silence of the guest's ticker between command and end. */
  readonly gapMs: number;
  /** The guest's write rate during the move over that before it; null when it does not write. */
  readonly writeShare: number | null;
  /** How long the disk as it was at the command took to be there; null for those who do not tell. */
  readonly firstRoundMs: number | null;
  /** False when it did not end within 300 s. */
  readonly ended: boolean;
}

export interface MoveOptions {
  readonly folder: string;
  readonly line: Line;
  readonly artefacts: GuestArtefacts;
  /** KiB per second that the guest rewrites; 0 for an idle guest. */
  readonly writesKib: number;
  /** MiB that the guest writes anew before its move. */
  readonly renewedMib?: number;
  readonly log: (message: string) => void;
}

/** Does the moving; null when it did not end in time. */
type Mover = () => Promise<Moved | null>;

interface Moved {
  readonly stopToResumeMs: number;
  /** From the first seal until the disk's first round was there. */
  readonly firstRoundMs?: number;
}

export interface AgentMoveOptions extends MoveOptions {
  readonly mode: 'precopy' | 'hybrid';
  readonly hosts?: Hosts;
  /** How the memory moves, where it is not the default. */
  readonly memory?: Partial<Pick<ControlParams<'vm.migrate'>, 'memory' | 'compress' | 'autoConverge'>>;
  /** More arguments of QEMU. */
  readonly args?: readonly string[];
}

/** Moves by agents: memory and disk. `mode` as in `vm migrate --disk`. */
export async function moveByAgents(options: AgentMoveOptions): Promise<Move> {
  const { folder, line, artefacts, mode } = options;
  const { from, to } = options.hosts ?? (await startHosts(folder, line));
  if (options.hosts === undefined) {
    await from.import(artefacts.rootImage, 'root');
    await from.invite(to, 'root');
  }
  const lineOf = await startMachine({ from, to }, artefacts, options.args);
  try {
    return await measure(options, lineOf(from), lineOf(to), async () => {
      await from.call('vm.migrate', {
        ...{ name: 'desk', to: to.hostId, plan: false, disk: mode, maxDowntimeMs: 300 },
        ...{ bandwidthBytesPerSecond: null, throttle: 'bradford', compress: true, autoConverge: false },
        ...{ memory: 'precopy', ...options.memory },
      });
      const { record } = await from.call('vm.migrateStatus', { name: 'desk', watch: true });
      const [first, second] = record.rounds as { atMs: number }[];
      const firstRoundMs = Number(second?.atMs ?? record.memoryAtMs) - Number(first?.atMs);
      return { stopToResumeMs: Number(record.stopToRunningMs), firstRoundMs };
    });
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
): Promise<(host: AgentHost) => string> {
  const args = [...guestArguments({ ...artefacts, protocolSocket: LINE_SOCKET }), ...more];
  await to.call('vm.allow', { args });
  await from.call('vm.start', { name: 'desk', disks: ['root'], memoryBytes: MEMORY_MIB * 2 ** 20, cpus: 1, args });
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

/** What libvirt does for non-shared storage: QEMU mirrors the disk to the other QEMU and then moves the memory. */
export async function moveByMirror(options: MoveOptions): Promise<Move> {
  const { folder, line, artefacts } = options;
  const [own, other] = [join(folder, 'from.raw'), join(folder, 'to.raw')];
  await copyFile(artefacts.rootImage, own);
  await copyFile(artefacts.rootImage, other);
  await truncate(other, 0);
  await truncate(other, (await stat(own)).size);
  const file = (filename: string) => ({ driver: 'raw', file: { driver: 'file', filename } });
  const base = { artefacts, memoryMiB: MEMORY_MIB };
  const from = await Qemu.start({
    ...{ ...base, folder: join(folder, 'qemu-from'), prefix: line.far.prefix, blockdev: file(own), incoming: false },
  });
  const to = await Qemu.start({
    ...{ ...base, folder: join(folder, 'qemu-to'), prefix: line.near.prefix, blockdev: file(other), incoming: true },
  });
  try {
    return await measure(options, from.linePath, to.linePath, async () => {
      const addr = { type: 'inet', data: { host: line.near.address, port: String(MIRROR_PORT) } };
      await to.qmp.execute('nbd-server-start', { addr });
      await to.qmp.execute('block-export-add', {
        ...{ id: 'copy', type: 'nbd', 'node-name': 'disk', writable: true, name: 'disk' },
      });
      await from.qmp.execute('blockdev-add', {
        ...{ driver: 'nbd', 'node-name': 'copy', export: 'disk', discard: 'unmap' },
        server: { type: 'inet', host: line.near.address, port: String(MIRROR_PORT) },
      });
      const ready = from.event(({ name }) => name === 'BLOCK_JOB_READY');
      await from.qmp.execute('blockdev-mirror', { 'job-id': 'mirror', device: 'disk', target: 'copy', sync: 'full' });
      if ((await within(ready)) === null) return null;
      return await moveMemory({ from, to, line, compressed: false }, async () => {
        const done = from.event(({ name }) => name === 'BLOCK_JOB_COMPLETED');
        await from.qmp.execute('block-job-cancel', { device: 'mirror' });
        await done;
      });
    });
  } finally {
    await Promise.all([from.stop(), to.stop()]);
  }
}

/** The memory alone, its disk on storage that both ends share (outside the line), compressed as agents do it. */
export async function moveMemoryAlone(options: MoveOptions): Promise<Move> {
  const { folder, line, artefacts } = options;
  const disk = join(folder, 'shared.raw');
  await copyFile(artefacts.rootImage, disk);
  const socket = join(folder, 'shared.sock');
  const shared = await serve(
    ['qemu-nbd', '--persistent', '--shared=4', '--format=raw', '--cache=writeback', '--socket', socket, disk],
    async () => (await run(['nbdinfo', '--size', `nbd+unix:///?socket=${socket}`]).catch(() => null)) !== null,
  );
  const blockdev = { driver: 'nbd', server: { type: 'unix', path: socket }, export: '' };
  const base = { artefacts, memoryMiB: MEMORY_MIB, blockdev };
  const from = await Qemu.start({
    ...{ ...base, folder: join(folder, 'qemu-from'), prefix: line.far.prefix, incoming: false },
  });
  const to = await Qemu.start({
    ...{ ...base, folder: join(folder, 'qemu-to'), prefix: line.near.prefix, incoming: true },
  });
  try {
    return await measure(options, from.linePath, to.linePath, () =>
      moveMemory({ from, to, line, compressed: true }, async () => {}),
    );
  } finally {
    await Promise.all([from.stop(), to.stop()]);
    await shared.stop();
  }
}

/** QEMU's own migration over a TCP port, in the order that its documentation gives for `pause-before-switchover`. */
async function moveMemory(
  { from, to, line, compressed }: { from: Qemu; to: Qemu; line: Line; compressed: boolean },
  atSwitchover: () => Promise<void>,
): Promise<Moved | null> {
  const uri = `tcp:${line.near.address}:${MEMORY_PORT}`;
  const on = (...names: string[]) => ({ capabilities: names.map((capability) => ({ capability, state: true })) });
  const multifd = compressed ? ['multifd'] : [];
  const settings = compressed ? { 'multifd-channels': 2, 'multifd-compression': 'zstd' } : {};
  await to.qmp.execute('migrate-set-capabilities', on('events', 'late-block-activate', ...multifd));
  await from.qmp.execute('migrate-set-capabilities', on('events', 'pause-before-switchover', ...multifd));
  if (compressed) await to.qmp.execute('migrate-set-parameters', settings);
  await from.qmp.execute('migrate-set-parameters', { ...settings, 'downtime-limit': 300, 'max-bandwidth': 2 ** 40 });
  await to.qmp.execute('migrate-incoming', { uri });
  let stopMs = 0;
  const stopped = from.event(({ name }) => name === 'STOP').then(() => (stopMs = performance.now()));
  const status = (host: Qemu, wanted: string) =>
    host.event(({ name, data }) => name === 'MIGRATION' && data.status === wanted);
  const paused = status(from, 'pre-switchover');
  const arrived = status(to, 'completed');
  await from.qmp.execute('migrate', { uri });
  if ((await within(paused)) === null) return null;
  await stopped;
  await atSwitchover();
  await from.qmp.execute('migrate-continue', { state: 'pre-switchover' });
  if ((await within(arrived)) === null) return null;
  await to.qmp.execute('cont', {});
  return { stopToResumeMs: performance.now() - stopMs };
}

/** Null when it takes longer than a move may. */
function within<Value>(wanted: Promise<Value>): Promise<Value | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), MOVE_LIMIT_MS);
    wanted.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function measure(
  { line, writesKib, renewedMib = 0, log }: MoveOptions,
  from: string,
  to: string,
  move: Mover,
): Promise<Move> {
  const guest = new GuestLine();
  try {
    await guest.attach(from);
    await guest.ready;
    await guest.say('write', 'before', 1_000_000, 7);
    if (renewedMib > 0) {
      await guest.say('rewrite', renewedMib, 1);
      await guest.say('rest');
    }
    await guest.say('tick');
    if (writesKib > 0) await guest.say('rewrite', REGION_MIB, writesKib);
    await pause(BEFORE_MS);
    const before = rateOf(guest.writes, performance.now() - BEFORE_MS, performance.now());
    const arriving = guest.attach(to);
    const bytes = await bytesOn(line);
    const startMs = performance.now();
    const moved = await within(move());
    const endMs = performance.now();
    const wireBytes = (await bytesOn(line)) - bytes;
    const ended = moved !== null;
    if (ended) {
      await arriving;
      await pause(500); // What the guest says after the move.
      await guest.say('rest');
      check((await guest.say('checkall')).at(-1) === '1', 'the guest does not find what it wrote before');
    }
    const result: Move = {
      totalMs: ended ? endMs - startMs : MOVE_LIMIT_MS,
      wireBytes,
      stopToResumeMs: moved?.stopToResumeMs ?? Number.NaN,
      firstRoundMs: moved?.firstRoundMs ?? null,
      gapMs: longestSilence(guest.ticks, startMs, endMs),
      writeShare: writesKib > 0 ? rateOf(guest.writes, startMs, endMs) / before : null,
      ended,
    };
    log(
      `${(result.totalMs / 1000).toFixed(1)} s, ${Math.round(wireBytes / 1e6)} MB, STOP to RESUME ${Math.round(result.stopToResumeMs)} ms, gap ${Math.round(result.gapMs)} ms, writes ${result.writeShare?.toFixed(2) ?? '-'}`,
    );
    return result;
  } finally {
    guest.close();
  }
}

/** Everything that the near end of the line received and sent. */
async function bytesOn({ near }: Line): Promise<number> {
  const folder = '/sys/class/net/line/statistics';
  const { stdout } = await run([...near.prefix, 'cat', `${folder}/rx_bytes`, `${folder}/tx_bytes`]);
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, count) => sum + Number(count), 0);
}

/** Per second. */
function rateOf(times: readonly number[], fromMs: number, untilMs: number): number {
  return times.filter((at) => at >= fromMs && at < untilMs).length / ((untilMs - fromMs) / 1000);
}

function longestSilence(times: readonly number[], fromMs: number, untilMs: number): number {
  const inside = times.filter((at) => at >= fromMs - 1000 && at <= untilMs + 1000);
  return inside.reduce((longest, at, index) => (index === 0 ? 0 : Math.max(longest, at - inside[index - 1]!)), 0);
}
