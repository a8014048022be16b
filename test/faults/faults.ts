/**
 * What can happen to a migration in each of its phases: cancelled, or one of the four processes killed.
 *
 * The link is held as the phase begins, which keeps the source in it: every phase ends with bytes from the other host, or to it. In some phases only what
 * comes back is held, so that the destination goes on without the source knowing.
 */
import type { SeededRandom } from '@diskswarm/sim';
import type { Json } from '../e2e/processes.ts';
import { MigrationWatch, type Phase } from './migration-watch.ts';
import type { Direction } from './relay.ts';
import { vmOf, type World } from './world.ts';

export const FAULTS = [
  'cancel',
  'kill source agent',
  'kill destination agent',
  'kill source QEMU',
  'kill destination QEMU',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Makes the first round and the memory take long enough to be more than one phase. */
export const LINK_BYTES_PER_SECOND = 12_000_000;
const MAX_DWELL_MS = 600;
const MAX_AWAY_MS = 1_500;

/** Phases that the source cannot leave while nothing comes back, whatever gets there. */
const ANSWERED: readonly Phase[] = ['switchover', 'confirming', 'relinquishing', 'post'];

export interface Landing {
  /** False when there was nothing left to hit. */
  readonly landed: boolean;
  readonly how: string;
}

/** Migrates, and lets `fault` happen in `phase`. */
export async function strike(world: World, phase: Phase, fault: Fault, random: SeededRandom): Promise<Landing> {
  const { relay, markers } = world;
  relay.limit(LINK_BYTES_PER_SECOND);
  await markers.write();
  markers.start();
  const held: Direction[] = ANSWERED.includes(phase) && random.chance(0.6) ? ['back'] : ['there', 'back'];
  const dwellMs = random.below(MAX_DWELL_MS);
  const watch = await MigrationWatch.start(world);
  try {
    const reached = watch.reach(phase, () => relay.hold(...held));
    if (phase !== 'preparing') relay.release();
    else if (held.length === 1) relay.release();
    if (!(await reached)) return { landed: false, how: `went ${watch.seen.join(' ')}` };
    await pass(dwellMs);
    const how = `${held.length === 1 ? 'answers' : 'link'} held for ${dwellMs} ms`;
    if ((await phaseOf(world)) !== phase) return { landed: false, how: `${how}, went on` };
    const landed = await hit(world, fault, random.below(MAX_AWAY_MS));
    return { landed, how };
  } finally {
    relay.release();
    await watch.done;
    watch.close();
  }
}

async function phaseOf({ home }: World): Promise<unknown> {
  return ((await home.call('vm.migrateStatus', { name: 'desk', watch: false })) as Json).phase;
}

async function hit(world: World, fault: Fault, awayMs: number): Promise<boolean> {
  const { home, office, relay } = world;
  switch (fault) {
    case 'cancel':
      // Refused once the disks are on their way: then the migration goes on.
      await home.call('vm.migrateCancel', { name: 'desk' }).catch(() => {});
      return true;
    case 'kill source agent':
    case 'kill destination agent': {
      const host = fault === 'kill source agent' ? home : office;
      await host.daemon!.crash();
      relay.release();
      await pass(awayMs);
      await world.startAgent(host);
      return true;
    }
    case 'kill source QEMU':
    case 'kill destination QEMU': {
      const pid = (await vmOf(fault === 'kill source QEMU' ? home : office))?.pid;
      if (typeof pid !== 'number') return false;
      process.kill(pid, 'SIGKILL');
      return true;
    }
  }
}

export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
