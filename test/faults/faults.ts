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
import { VM, vmOf, type World } from './world.ts';

export const FAULTS = [
  'cancel',
  'kill source agent',
  'kill destination agent',
  'kill source QEMU',
  'kill destination QEMU',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Makes the first round and the memory take long enough to be more than one phase. */
const LINK_BYTES_PER_SECOND = 12_000_000;
/** Sets the answers of the destination so far apart that they can be told from each other. */
const CRAWL_BYTES_PER_SECOND = 1_500;
const MAX_DWELL_MS = 600;
const MAX_AWAY_MS = 1_500;

/** Phases that the source cannot leave while nothing comes back, whatever gets there. */
const ANSWERED: readonly Phase[] = ['switchover', 'confirming', 'relinquishing', 'post'];

export interface Landing {
  /** False when there was nothing left to hit. */
  readonly landed: boolean;
  readonly how: string;
}

/** Does something to a migration that is in the phase where it has to happen; false when there was nothing to do it to. */
export type Hit = (world: World) => Promise<boolean>;

/** Migrates, with a guest that writes, and hits in `phase`. */
export async function strike(world: World, phase: Phase, hit: Hit, random: SeededRandom): Promise<Landing> {
  const { relay, markers } = world;
  const held: Direction[] = ANSWERED.includes(phase) && random.chance(0.6) ? ['back'] : ['there', 'back'];
  const dwellMs = random.below(MAX_DWELL_MS);
  const how = `${held.length === 1 ? 'answers' : 'link'} held for ${dwellMs} ms`;
  relay.limit(LINK_BYTES_PER_SECOND);
  await markers.write();
  markers.start();
  const watch = await MigrationWatch.start(world);
  try {
    if (phase === 'post') void watch.reach('relinquishing', () => relay.limit(CRAWL_BYTES_PER_SECOND));
    const reached = watch.reach(phase, () => relay.hold(...held));
    if (phase !== 'preparing') relay.release();
    if (!(await reached)) return { landed: false, how: `went ${watch.seen.join(' ')}` };
    await pass(dwellMs);
    if ((await phaseOf(world)) !== phase) return { landed: false, how: `${how}, went on` };
    const landed = await hit(world);
    relay.limit(LINK_BYTES_PER_SECOND);
    relay.release();
    return { landed, how: `${how}, command: ${await watch.result()}` };
  } finally {
    relay.limit(LINK_BYTES_PER_SECOND);
    relay.release();
    await watch.result();
    watch.close();
  }
}

/** The hit that is called so. */
export function hitOf(fault: Fault, random: SeededRandom): Hit {
  switch (fault) {
    case 'cancel':
      return async ({ home }) => {
        // Refused once the disks are on their way: then the migration goes on.
        await home.call('vm.migrateCancel', { name: VM }).catch(() => {});
        return true;
      };
    case 'kill source agent':
    case 'kill destination agent': {
      const awayMs = random.below(MAX_AWAY_MS);
      return async (world) => {
        const host = fault === 'kill source agent' ? world.home : world.office;
        await host.daemon!.crash();
        world.relay.release();
        await pass(awayMs);
        await world.startAgent(host);
        return true;
      };
    }
    case 'kill source QEMU':
    case 'kill destination QEMU':
      return async ({ home, office }) => {
        const pid = (await vmOf(fault === 'kill source QEMU' ? home : office))?.pid;
        if (typeof pid !== 'number') return false;
        process.kill(pid, 'SIGKILL');
        return true;
      };
  }
}

/** The phase of the source now. */
export async function phaseOf({ home }: World): Promise<unknown> {
  return ((await home.call('vm.migrateStatus', { name: VM, watch: false })) as Json).phase;
}

export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
