/**
 * A running machine moves while things go wrong: the cases that found something once, then a few faults of each kind of machine, always the same ones.
 *
 * Each runs twice and has to repeat itself. A failure names the command that repeats it; `pnpm sim:moves` has them all.
 */
import { availableParallelism } from 'node:os';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import { caseOf, nameOf, plainCases, singleCases } from './cases.ts';
import { commandOf, type MoveTotals, runCases } from './move-runs.ts';
import type { MoveCase } from './one-move.ts';
import { REGRESSION_CASES } from './regression-cases.ts';

const CASES = 4;
const PROCESSES = Math.min(2, availableParallelism());

function report({ failures }: MoveTotals): string {
  return failures.map(({ name, why }) => `${why}\nrepeat with: ${commandOf(name)}`).join('\n\n');
}

test('a case is found again by its name', (t) => {
  const steps = [
    'office hears prepare',
    'home qemu says STOP',
    'home qemu says MIGRATION active',
    'home hears running',
  ];
  for (const plain of plainCases())
    for (const wanted of [plain, ...singleCases(plain, steps)]) t.deepEqual(caseOf(nameOf(wanted)), wanted);
});

test.serial('moves that found a defect end well', async (t) => {
  t.timeout(300_000);
  const waiting = REGRESSION_CASES.map(({ name }) => caseOf(name));
  const totals = await runCases(() => waiting.shift() ?? null, { processes: PROCESSES });
  t.is(report(totals), '');
  t.is(totals.cases, REGRESSION_CASES.length);
});

test.serial('moves in which something goes wrong end well, each kind of machine with some faults', async (t) => {
  t.timeout(600_000);
  const random = new SeededRandom('moves of the tests');
  const plain = plainCases();
  const waiting = [...plain];
  const faults = new Map<string, MoveCase[]>();
  const moves = await runCases(() => waiting.shift() ?? null, {
    processes: PROCESSES,
    onReport: (wanted, result) => {
      if ('steps' in result) faults.set(nameOf(wanted), singleCases(wanted, result.steps));
    },
  });
  t.is(report(moves), '');
  t.deepEqual(moves.ends, { moved: plain.length });
  // Drawn in the order of the kinds, whichever was through first.
  const chosen = Array.from({ length: CASES }, (_, index) =>
    random.pick(faults.get(nameOf(plain[index % plain.length]!)) ?? []),
  );
  const totals = await runCases(() => chosen.shift() ?? null, { processes: PROCESSES });
  t.log(`${totals.cases} moves, each twice: ${JSON.stringify(totals.ends)}`);
  t.is(report(totals), '');
});
