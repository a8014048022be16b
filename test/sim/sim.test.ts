/**
 * The seeds of CI: those that found something once, then as many as twenty seconds give, from the day's own first seed on.
 *
 * Each runs twice and has to repeat itself. A failure names the seed and the command that repeats it.
 */
import { availableParallelism } from 'node:os';
import test from 'ava';
import { REGRESSION_SEEDS } from './regression-seeds.ts';
import { SCENARIO_NAMES } from './scenario-names.ts';
import { runSeeds, type Seed, type SeedTotals } from './seeds.ts';

const SECONDS = 20;
const PROCESSES = Math.min(4, availableParallelism());

function report({ failures }: SeedTotals): string {
  return failures.map(({ command, why }) => `${why}\nrepeat with: ${command}`).join('\n\n');
}

test.serial('seeds that found a defect pass', async (t) => {
  t.timeout(300_000);
  const seeds: Seed[] = [...REGRESSION_SEEDS];
  const totals = await runSeeds(() => seeds.shift() ?? null, { processes: PROCESSES });
  t.is(report(totals), '');
  t.is(totals.seeds, REGRESSION_SEEDS.length);
});

test.serial('twenty seconds of seeds', async (t) => {
  t.timeout(300_000);
  const until = Date.now() + SECONDS * 1000;
  let seed = Math.floor(Date.now() / 1000);
  // Every scenario has its turn, however slow the machine.
  const least = seed + SCENARIO_NAMES.length;
  const totals = await runSeeds(
    () => (Date.now() < until || seed < least ? { seed: String(seed++), scenario: null } : null),
    { processes: PROCESSES },
  );
  t.log(`${totals.seeds} seeds, ${totals.events} events, ${Math.round(totals.simulatedMs / 1000)} simulated seconds`);
  t.is(report(totals), '');
  t.deepEqual(Object.keys(totals.byScenario).sort(), [...SCENARIO_NAMES].sort());
});
