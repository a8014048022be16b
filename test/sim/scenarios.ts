/** The scenarios under their names. */
import type { RunLimits, Simulation } from '@diskswarm/sim';
import type { ScenarioName } from './scenario-names.ts';
import { guest } from './scenarios/guest.ts';
import { handover } from './scenarios/handover.ts';
import { seal } from './scenarios/seal.ts';
import type { World } from './world.ts';

/** A scenario: its world, and what happens there; `play` rejects where something is wrong. */
export interface Scenario {
  prepare(simulation: Simulation): { readonly world: World; play(): Promise<void> };
  readonly limits?: RunLimits;
}

export const SCENARIOS = { guest, seal, handover, fetch: guest, faults: guest, replay: guest } satisfies Record<ScenarioName, Scenario>;
