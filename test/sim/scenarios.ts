/** The scenarios under their names. */
import type { RunLimits, Simulation } from '@diskswarm/sim';
import type { ScenarioName } from './scenario-names.ts';
import { faults } from './scenarios/faults.ts';
import { fetch } from './scenarios/fetch.ts';
import { guest } from './scenarios/guest.ts';
import { handover } from './scenarios/handover.ts';
import { replay } from './scenarios/replay.ts';
import { seal } from './scenarios/seal.ts';
import type { World } from './world.ts';

/** A scenario: its world, and what happens there; `play` rejects where something is wrong. */
export interface Scenario {
  prepare(simulation: Simulation): { readonly world: World; play(): Promise<void> };
  readonly limits?: RunLimits;
}

export const SCENARIOS = { guest, seal, handover, fetch, faults, replay } satisfies Record<ScenarioName, Scenario>;
