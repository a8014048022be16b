/**
 * The fault matrix of live migrations: its runs, in the order of a seed, and one run from its world to its verdict.
 */
import { SeededRandom } from '@diskswarm/sim';
import { FAULTS, hitOf, type Landing, strike } from './faults.ts';
import { PHASES } from './migration-watch.ts';
import { Scope } from './scope.ts';
import { type End, judge, leave } from './verdict.ts';
import { startWorld, type Template, type World, type WorldOptions } from './world.ts';

/** One kind of run. */
export interface Case {
  readonly phase: string;
  readonly fault: string;
  /** What the world has that others have not. */
  readonly prepare?: (scope: Scope, template: Template) => Promise<WorldOptions>;
  readonly act: (world: World, random: SeededRandom) => Promise<Landing>;
  /** Where it has to end; null for anywhere. */
  readonly end?: End;
}

export interface Result {
  readonly phase: string;
  readonly fault: string;
  readonly landing: Landing;
  readonly end: End;
  readonly wrong: readonly string[];
  readonly markers: number;
  readonly seconds: number;
  /** What the processes had to say, when something is wrong. */
  readonly log: readonly string[];
}

/** Every phase of the source with everything that can happen in it. */
export const MATRIX: readonly Case[] = PHASES.flatMap((phase) =>
  FAULTS.map(
    (fault): Case => ({ phase, fault, act: (world, random) => strike(world, phase, hitOf(fault, random), random) }),
  ),
);

/** How a case is called. */
export function nameOf({ phase, fault }: Pick<Case, 'phase' | 'fault'>): string {
  return `${phase}: ${fault}`;
}

/** The first `count` of the cases, as `seed` shuffles them; more than there are begin again. */
export function choose(cases: readonly Case[], seed: string, count: number): Case[] {
  const random = new SeededRandom(`${seed}/order`);
  const chosen: Case[] = [];
  while (chosen.length < count) {
    const round = [...cases];
    while (round.length > 0 && chosen.length < count) chosen.push(...round.splice(random.below(round.length), 1));
  }
  return chosen;
}

/** Runs one case; never throws. */
export async function runCase(kind: Case, template: Template, seed: string): Promise<Result> {
  const { phase, fault } = kind;
  const startedMs = performance.now();
  const scope = new Scope();
  const wrong: string[] = [];
  let landing: Landing = { landed: false, how: 'did not come to it' };
  let end: End = 'lost';
  let markers = 0;
  try {
    const world = await startWorld(scope, template, (await kind.prepare?.(scope, template)) ?? {});
    landing = await kind.act(world, new SeededRandom(`${seed}/${phase}/${fault}`));
    const verdict = await judge(world);
    end = verdict.end;
    wrong.push(...verdict.wrong);
    markers = world.markers.count;
    if (kind.end !== undefined && landing.landed && end !== kind.end) wrong.push(`should have ${kind.end}`);
    wrong.push(...(await leave(world)));
  } catch (error) {
    wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  scope.passed = wrong.length === 0 && end !== 'lost';
  await scope.close();
  const seconds = (performance.now() - startedMs) / 1000;
  return { phase, fault, landing, end, wrong, markers, seconds, log: scope.lines };
}
