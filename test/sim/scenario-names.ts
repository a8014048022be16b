/** The scenarios by name, and which one a seed plays; loads none of the code under test. */
export const SCENARIO_NAMES = ['guest', 'seal', 'handover', 'fetch', 'faults', 'replay'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** The scenario that was asked for, or the one of a numbered seed: they take turns. */
export function scenarioOf(seed: string, wanted: string | null): ScenarioName {
  if (wanted === null) return SCENARIO_NAMES[(Number.parseInt(seed, 10) || 0) % SCENARIO_NAMES.length]!;
  const known = SCENARIO_NAMES.find((name) => name === wanted);
  if (known === undefined) throw new RangeError(`no scenario "${wanted}"; there are ${SCENARIO_NAMES.join(', ')}`);
  return known;
}
