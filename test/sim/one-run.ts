/**
 * One run: one scenario, one seed, in this process, on a simulated clock, network, disks and randomness.
 *
 * A process does this once, because third-party code takes the simulated globals when it is loaded. A rejection that nobody handles
 * fails the run, as it would end a real agent; what a dead process leaves behind does not.
 */
import { createSimulation, ProcessGone, SimulationFailure, withSimulatedGlobals } from '@diskswarm/sim';
import { scenarioOf } from './scenario-names.ts';

/** What a run was, for comparison with its repetition. */
export interface RunResult {
  readonly seed: string;
  readonly scenario: string;
  readonly events: number;
  /** Hash of every event, in order. */
  readonly hash: string;
  /** Simulated time that passed, in milliseconds. */
  readonly simulatedMs: number;
}

/** Rejects with SimulationFailure. `onEvent` is given each line of the trace. */
export async function runOnce(
  seed: string,
  scenario: string | null,
  onEvent?: (line: string) => void,
): Promise<RunResult> {
  const name = scenarioOf(seed, scenario);
  const simulation = createSimulation(seed, onEvent === undefined ? {} : { onEvent });
  const unhandled = Promise.withResolvers<never>();
  unhandled.promise.catch(() => {}); // Part of the race below.
  const onUnhandled = (error: unknown): void => {
    if (!(error instanceof ProcessGone))
      unhandled.reject(new Error(`nobody handled: ${String(error)}`, { cause: error }));
  };
  process.on('unhandledRejection', onUnhandled).on('uncaughtException', onUnhandled);
  try {
    await withSimulatedGlobals(simulation, async () => {
      const { SCENARIOS } = await import('./scenarios.ts');
      const { prepare, limits } = SCENARIOS[name];
      const { world, play } = prepare(simulation);
      await simulation.run(() => Promise.race([play(), world.failed, unhandled.promise]), limits);
    });
  } catch (error) {
    throw error instanceof SimulationFailure
      ? error
      : new SimulationFailure(seed, String(error), simulation.trace, error);
  } finally {
    process.off('unhandledRejection', onUnhandled).off('uncaughtException', onUnhandled);
  }
  const { eventCount: events, eventHash: hash } = simulation;
  return { seed, scenario: name, events, hash, simulatedMs: Math.round(simulation.clock.nowUs() / 1000) };
}
