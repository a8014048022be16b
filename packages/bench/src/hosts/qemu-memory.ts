/** QEMU's own migration of memory between two QEMUs over a TCP port: what every way of moving a disk by QEMU ends with. */
import type { Line } from '../link/link.ts';
import { type Moved, within } from './measure-move.ts';
import type { Qemu } from './qemu.ts';

const MEMORY_PORT = 10_810;
/** What agents ask for as well. */
const DOWNTIME_MS = 300;

/** Two QEMUs, and how the memory goes from one to the other. */
interface MemoryMove {
  readonly from: Qemu;
  readonly to: Qemu;
  readonly line: Line;
  /** Over two channels with zstd, as agents do it, or as QEMU does by default. */
  readonly compressed: boolean;
  /** When the guest was stopped, where that was before. */
  readonly stoppedAtMs?: number;
  readonly limitMs?: number;
}

/** Moves the memory in the order that QEMU's documentation gives for `pause-before-switchover`; null when it takes longer than a move may. */
export async function moveMemory(
  { from, to, line, compressed, stoppedAtMs, ...limit }: MemoryMove,
  atSwitchover: () => Promise<void>,
): Promise<Moved | null> {
  const uri = `tcp:${line.near.address}:${MEMORY_PORT}`;
  const on = (...names: string[]) => ({ capabilities: names.map((capability) => ({ capability, state: true })) });
  const multifd = compressed ? ['multifd'] : [];
  const settings = compressed ? { 'multifd-channels': 2, 'multifd-compression': 'zstd' } : {};
  await to.qmp.execute('migrate-set-capabilities', on('events', 'late-block-activate', ...multifd));
  await from.qmp.execute('migrate-set-capabilities', on('events', 'pause-before-switchover', ...multifd));
  if (compressed) await to.qmp.execute('migrate-set-parameters', settings);
  await from.qmp.execute('migrate-set-parameters', {
    ...settings,
    'downtime-limit': DOWNTIME_MS,
    'max-bandwidth': 2 ** 40,
  });
  await to.qmp.execute('migrate-incoming', { uri });
  let stopMs = stoppedAtMs ?? 0;
  const stopped =
    stoppedAtMs === undefined
      ? from.event(({ name }) => name === 'STOP').then(() => (stopMs = performance.now()))
      : Promise.resolve(stoppedAtMs);
  const status = (host: Qemu, wanted: string) =>
    host.event(({ name, data }) => name === 'MIGRATION' && data.status === wanted);
  const paused = status(from, 'pre-switchover');
  const arrived = status(to, 'completed');
  await from.qmp.execute('migrate', { uri });
  if ((await within(paused, limit)) === null) return null;
  await stopped;
  await atSwitchover();
  await from.qmp.execute('migrate-continue', { state: 'pre-switchover' });
  if ((await within(arrived, limit)) === null) return null;
  await to.qmp.execute('cont', {});
  return { stopToResumeMs: performance.now() - stopMs };
}
