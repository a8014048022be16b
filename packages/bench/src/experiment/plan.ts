/**
 * The single runs of an experiment, in the order in which they are done.
 *
 * Whatever else the machine does is to meet all systems alike: in each round the places (link and workload) come in another
 * order, in each place the systems take turns, and who begins changes. All of it follows from the seed alone, and the guest's
 * seed is the same for all systems of one place and round.
 */
import { seededNumbers } from '../image.ts';
import type { Experiment, LinkChoice, WorkloadChoice } from './experiment.ts';

/** One run. */
export interface PlannedRun {
  /** From 1. */
  readonly number: number;
  readonly system: string;
  readonly link: LinkChoice;
  readonly workload: WorkloadChoice;
  /** From 1. */
  readonly round: number;
  /** For the guest's workload and the link's losses. */
  readonly seed: number;
}

/** All runs. */
export function planRuns(experiment: Experiment): readonly PlannedRun[] {
  const { systems, links, workloads, runs, seed } = experiment;
  const random = seededNumbers(seed + 1);
  const places = links.flatMap((link) => workloads.map((workload) => ({ link, workload })));
  const planned: PlannedRun[] = [];
  for (let round = 1; round <= runs; round++) {
    for (const [index, place] of shuffled(places, random).entries()) {
      const placeSeed = random(2 ** 31 - 1);
      for (let turn = 0; turn < systems.length; turn++) {
        const system = systems[(round + index + turn) % systems.length]!;
        planned.push({ number: planned.length + 1, system, ...place, round, seed: placeSeed });
      }
    }
  }
  return planned;
}

/** Fisher and Yates. */
function shuffled<Value>(values: readonly Value[], random: (below: number) => number): Value[] {
  const left = [...values];
  for (let index = left.length - 1; index > 0; index--) {
    const other = random(index + 1);
    [left[index], left[other]] = [left[other]!, left[index]!];
  }
  return left;
}
