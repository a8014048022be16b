/** Seeds that found a defect once, and what it was. CI runs them always. */
import type { ScenarioName } from './scenario-names.ts';

export interface RegressionSeed {
  readonly seed: string;
  readonly scenario: ScenarioName;
  readonly found: string;
}

export const REGRESSION_SEEDS: readonly RegressionSeed[] = [
  { seed: '10', scenario: 'guest', found: 'a power cut took the folder of an overlay, with flushed writes in it' },
  {
    seed: '3',
    scenario: 'handover',
    found: 'epoch records reached only the two hosts of a hand-over without new writes',
  },
  {
    seed: '5024',
    scenario: 'faults',
    found: 'one read error took the only copy of a chunk away, and its reader waited for ever',
  },
  {
    seed: '5043',
    scenario: 'faults',
    found: 'blocks overwritten in place before a failed sync were taken for durable by the next flush',
  },
  {
    seed: '1795290242',
    scenario: 'handover',
    found:
      'a failed write left what queued behind it in the store, which tried it again without end and let nothing else run',
  },
];
