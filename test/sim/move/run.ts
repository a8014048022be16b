/**
 * `pnpm sim:moves`: a running machine moves while things go wrong, in simulation.
 *
 *   pnpm sim:moves [--only TEXT]           every fault at every step; only cases whose names hold TEXT
 *   pnpm sim:moves --seconds S [--from N]  pairs of faults, seed by seed, until the time is up
 *   pnpm sim:moves --case "NAME" [--trace] one case, in this process; --trace prints every event
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { SimulationFailure } from '@diskswarm/sim';
import { caseOf, nameOf, pairCase, plainCases, singleCases } from './cases.ts';
import { commandOf, type MoveTotals, type Report, runCases, serveCases } from './move-runs.ts';
import { type MoveCase, runMove } from './one-move.ts';

/** Of the trace, shown with a failure. */
const LAST_LINES = 80;
const PROGRESS_MS = 60_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string' },
    from: { type: 'string', default: '1' },
    case: { type: 'string' },
    trace: { type: 'boolean', default: false },
    worker: { type: 'boolean', default: false },
  },
});

const pool = { processes: availableParallelism(), onReport: report };

if (values.worker) await serveCases();
else if (values.case !== undefined) await one(caseOf(values.case));
else if (values.seconds === undefined) await singles();
else await pairs(Number(values.seconds), Number(values.from));

async function one(wanted: MoveCase): Promise<void> {
  try {
    const { end, events, hash, simulatedMs } = await runMove(
      wanted,
      values.trace ? (line) => console.log(line) : undefined,
    );
    console.log(`${nameOf(wanted)}: ${end}; ${events} events in ${simulatedMs} simulated ms, hash ${hash}`);
    // Timers of the run that never fire must not keep the process.
    process.exit(0);
  } catch (error) {
    if (!values.trace) console.error((error as SimulationFailure).trace?.slice(-LAST_LINES).join('\n'));
    console.error((error as Error).cause ?? error);
    process.exit(1);
  }
}

async function singles(): Promise<void> {
  const { plain, totals } = await plainMoves();
  const waiting = plain
    .flatMap(({ wanted, steps }) => singleCases(wanted, steps))
    .filter((wanted) => nameOf(wanted).includes(values.only));
  const all = waiting.length;
  console.error(`${all} moves to simulate`);
  const progress = setInterval(() => console.error(`${all - waiting.length} of ${all} begun`), PROGRESS_MS);
  const singly = await runCases(() => waiting.shift() ?? null, pool);
  clearInterval(progress);
  finish([totals, singly]);
}

async function pairs(seconds: number, from: number): Promise<void> {
  const { plain, totals } = await plainMoves();
  const until = performance.now() + seconds * 1000;
  let seed = from;
  const next = (): MoveCase | null =>
    performance.now() > until
      ? null
      : pairCase(
          String(seed++),
          (mode, disks) => plain.find(({ wanted }) => wanted.mode === mode && wanted.disks === disks)!.steps,
        );
  finish([totals, await runCases(next, pool)]);
}

/** Moves without a fault: what steps there are. */
async function plainMoves(): Promise<{ plain: { wanted: MoveCase; steps: readonly string[] }[]; totals: MoveTotals }> {
  const plain: { wanted: MoveCase; steps: readonly string[] }[] = [];
  const waiting = plainCases();
  const totals = await runCases(() => waiting.shift() ?? null, {
    ...pool,
    onReport: (wanted, result) => {
      report(wanted, result);
      if ('steps' in result) plain.push({ wanted, steps: result.steps });
    },
  });
  if (totals.failures.length > 0) {
    finish([totals]);
    process.exit(1);
  }
  return { plain: plain.sort((left, right) => (nameOf(left.wanted) < nameOf(right.wanted) ? -1 : 1)), totals };
}

function report(wanted: MoveCase, result: Report): void {
  if ('failure' in result) console.error(`FAILED: ${result.failure}\nrepeat with: ${commandOf(nameOf(wanted))}`);
}

function finish(all: readonly MoveTotals[]): void {
  const ends: Record<string, number> = {};
  for (const totals of all)
    for (const [end, count] of Object.entries(totals.ends)) ends[end] = (ends[end] ?? 0) + count;
  const failures = all.flatMap((totals) => totals.failures);
  const cases = all.reduce((sum, totals) => sum + totals.cases, 0);
  const counts = Object.entries(ends).map(([end, count]) => `${end} ${count}`);
  for (const { name } of failures) console.log(`repeat with: ${commandOf(name)}`);
  console.log(`${cases} moves, each twice: ${counts.join(', ')}, failed ${failures.length}`);
  if (failures.length > 0) process.exitCode = 1;
}
