/**
 * One case: a machine is moved while it writes, faults strike, and afterwards all is in order: checked, moved once more, and checked again.
 *
 * Runs on a simulated clock, network, disks and QEMUs, with the shipped agents. Cases follow each other in one process.
 */
import type { DiskMode } from '@diskswarm/migration';
import {
  createSimulation,
  ProcessGone,
  type Simulation,
  SimulationFailure,
  withSimulatedGlobals,
} from '@diskswarm/sim';
import type { Course, Move, Strike } from './faults.ts';
import type { MoveHost } from './move-host.ts';
import type { MoveWorld } from './move-world.ts';

export interface MoveCase {
  readonly seed: string;
  readonly mode: DiskMode;
  readonly disks: number;
  readonly strikes: readonly Strike[];
}

export interface MoveResult {
  readonly end: 'moved' | 'stayed' | 'stopped at the source' | 'stopped at the destination';
  readonly steps: readonly string[];
  /** Every strike had its turn. */
  readonly struck: boolean;
  readonly hash: string;
  readonly events: number;
  readonly simulatedMs: number;
}

const RATE_BYTES_PER_SECOND = 500_000;
const MOVE_MS = 300_000;
const OPTIONS = {
  maxDowntimeMs: 300,
  bytesPerSecond: null,
  compress: false,
  autoConverge: false,
  throttle: 'bradford',
  memoryMode: 'precopy',
} as const;

/** Rejects with SimulationFailure. `onEvent` is given each line of the trace. */
export async function runMove(wanted: MoveCase, onEvent?: (line: string) => void): Promise<MoveResult> {
  const { seed, mode, disks } = wanted;
  const simulation = createSimulation(`${seed} ${mode} ${disks}`, onEvent === undefined ? {} : { onEvent });
  const unhandled = Promise.withResolvers<never>();
  unhandled.promise.catch(() => {}); // Part of the race below.
  const onUnhandled = (error: unknown): void => {
    if (!(error instanceof ProcessGone))
      unhandled.reject(new Error(`nobody handled: ${String(error)}`, { cause: error }));
  };
  process.on('unhandledRejection', onUnhandled).on('uncaughtException', onUnhandled);
  try {
    const { end, course } = await withSimulatedGlobals(simulation, async () => {
      const { MoveWorld: World } = await import('./move-world.ts');
      const world = new World(simulation);
      return simulation.run(() => Promise.race([play(simulation, world, wanted), world.failed, unhandled.promise]));
    });
    const { eventHash: hash, eventCount: events } = simulation;
    const struck = course.struck.size === wanted.strikes.length;
    return { end, steps: course.steps, struck, hash, events, simulatedMs: Math.round(simulation.clock.nowUs() / 1000) };
  } catch (error) {
    if (error instanceof SimulationFailure) throw error;
    throw new SimulationFailure(seed, String(error), simulation.trace, error);
  } finally {
    process.off('unhandledRejection', onUnhandled).off('uncaughtException', onUnhandled);
  }
}

async function play(
  { network }: Simulation,
  world: MoveWorld,
  { mode, disks, strikes }: MoveCase,
): Promise<{ end: MoveResult['end']; course: Course }> {
  const { arm, endsGuest, isHarmless } = await import('./faults.ts');
  const { settled } = await import('./verdict.ts');
  const { VM } = await import('./move-world.ts');
  const { home, office } = world;
  for (const { name } of world.hosts)
    network.setRates(name, { upBytesPerSecond: RATE_BYTES_PER_SECOND, downBytesPerSecond: RATE_BYTES_PER_SECOND });
  const opens = strikes.some(({ fault }) => fault === 'straight way');
  if (opens) world.goAround();
  await world.start(disks);
  await world.pause(300);
  const boot = world.runs!.guest!.boot;
  const leave = (from: MoveHost, to: MoveHost): Promise<NonNullable<Move['runner']>> =>
    from.use(({ vms, migrations }) => migrations.leave(vms.vm(VM), to.hostId, { ...OPTIONS, diskMode: mode }));
  const move: Move = { world, from: home, to: office, runner: null, again: () => leave(home, office) };
  const course = arm(move, strikes);
  move.runner = await leave(home, office);
  await world.pause(50);
  const { runner } = move;
  for (let waitedMs = 0; waitedMs < MOVE_MS && home.running?.migrations.leaving(VM) === runner; waitedMs += 100) {
    if (runner.state.phase === 'ended' || (runner.state.phase === 'post' && runner.state.running)) break;
    await world.pause(100);
  }
  const end = await settled(world);
  world.onStep = () => {};
  world.onMessage = () => false;
  const lost = strikes.some(({ fault }) => endsGuest(fault));
  if (!lost && (!end.runs || world.runs?.guest?.boot !== boot)) throw new Error(`the guest did not survive`);
  if (opens) await world.straightened(); // Also where the step did not come.
  if (strikes.every(({ fault }) => isHarmless(fault)) && end.host !== office) throw new Error('it was not moved');
  if (!end.runs)
    await end.host.use(({ vms }) => vms.startNew({ name: VM, disks: [], memoryBytes: null, cpus: null, args: [] }));
  await inOrder(world);
  const other = world.other(end.host);
  await leave(end.host, other);
  const back = await settled(world);
  if (back.host !== other || !back.runs) throw new Error('it could not be moved afterwards');
  await inOrder(world);
  const where = end.host === office ? 'destination' : 'source';
  return { end: end.runs ? (end.host === office ? 'moved' : 'stayed') : `stopped at the ${where}`, course };
}

/** The guest works, and finds all that it was told is written. */
async function inOrder(world: MoveWorld): Promise<void> {
  const guest = world.runs?.guest;
  if (guest === undefined || guest === null) throw new Error('no guest runs');
  const before = guest.memory.done;
  await world.pause(500);
  if (guest.memory.done === before) throw new Error('the guest does nothing');
  await guest.stop();
  await guest.readAll();
  guest.run();
}
