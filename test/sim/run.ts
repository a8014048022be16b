/**
 * `pnpm sim`: repeats one seed, or runs seeds until the time is up.
 *
 *   pnpm sim --seed N [--scenario NAME] [--trace]
 *   pnpm sim --seconds S [--scenario NAME] [--from N]
 *
 * One seed runs in this process and prints its hash; `--trace` prints every event. Several run in processes of their own, each twice.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { SimulationFailure } from '@diskswarm/sim';
import { runOnce } from './one-run.ts';
import { SCENARIO_NAMES, type ScenarioName, scenarioOf } from './scenario-names.ts';
import { commandOf, runSeeds } from './seeds.ts';

/** Of the trace, shown with a failure. */
const LAST_LINES = 60;
const USAGE = `usage: pnpm sim --seed N [--scenario ${SCENARIO_NAMES.join('|')}] [--trace]
       pnpm sim --seconds S [--scenario NAME] [--from N]`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    scenario: { type: 'string' },
    trace: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    from: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const scenario = values.scenario ?? null;

if (scenario !== null && !SCENARIO_NAMES.includes(scenario as ScenarioName)) usage();
else if (values.seed !== undefined) await one(values.seed);
else if (values.seconds !== undefined && Number(values.seconds) > 0) await many(Number(values.seconds));
else usage();

function usage(): void {
  console.error(USAGE);
  process.exitCode = 2;
}

async function one(seed: string): Promise<void> {
  try {
    const result = await runOnce(seed, scenario, values.trace ? (line) => console.error(line) : undefined);
    const { events, hash, simulatedMs } = result;
    console.log(
      values.json
        ? JSON.stringify(result)
        : `seed ${seed}, ${result.scenario}: ${events} events in ${simulatedMs} simulated ms, hash ${hash}`,
    );
    // Timers of the run that never fire must not keep the process.
    process.exit(0);
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    if (!values.trace) console.error(error.trace.slice(-LAST_LINES).join('\n'));
    // The scenario that a seed plays when none is named is only a default: the command names it.
    console.error(error.message.replace(/ \(repeat with: .*\)$/, ''));
    console.error(`repeat with: ${commandOf(seed, scenarioOf(seed, scenario))}`);
    console.error(error.cause);
    process.exit(1);
  }
}

async function many(seconds: number): Promise<void> {
  const until = Date.now() + seconds * 1000;
  let seed = values.from === undefined ? Math.floor(Date.now() / 1000) : Number(values.from);
  const next = (): { seed: string; scenario: string | null } | null =>
    Date.now() < until ? { seed: String(seed++), scenario } : null;
  const totals = await runSeeds(next, {
    processes: availableParallelism(),
    onFailure: ({ command, why }) => console.error(`${why}\nFAILED, repeat with: ${command}`),
  });
  const counts = Object.entries(totals.byScenario).map(([name, count]) => `${name} ${count}`);
  console.log(
    `${totals.seeds} seeds (${counts.join(', ')}), ${totals.events} events, ${Math.round(totals.simulatedMs / 1000)} simulated seconds, ${totals.failures.length} failed`,
  );
  for (const failure of totals.failures) console.log(`repeat with: ${commandOf(failure.seed, failure.scenario)}`);
  if (totals.failures.length > 0) process.exitCode = 1;
}
