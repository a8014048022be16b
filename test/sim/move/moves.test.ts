/**
 * A running machine moves while things go wrong: the cases that found something once, then as many faults as fit half a minute, of one kind of machine.
 *
 * Each runs twice and has to repeat itself. A failure names the command that repeats it.
 */
import { availableParallelism } from 'node:os';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import { caseOf, nameOf, plainCases, singleCases } from './cases.ts';
import { commandOf, type MoveTotals, runCases } from './move-runs.ts';
import type { MoveCase } from './one-move.ts';
import { REGRESSION_CASES } from './regression-cases.ts';

const SECONDS = 25;
const LEAST_CASES = 4;
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

test.serial('a while of moves in which something goes wrong', async (t) => {
  t.timeout(300_000);
  const until = performance.now() + SECONDS * 1000;
  const random = new SeededRandom(`moves ${Math.floor(Date.now() / 1000)}`);
  const plain = [random.pick(plainCases())];
  const waiting = [...plain];
  const faults: MoveCase[] = [];
  const moves = await runCases(() => waiting.shift() ?? null, {
    processes: PROCESSES,
    onReport: (wanted, result) => {
      if ('steps' in result) faults.push(...singleCases(wanted, result.steps));
    },
  });
  t.is(report(moves), '');
  t.deepEqual(moves.ends, { moved: plain.length });
  let begun = 0;
  const next = (): MoveCase | null => (begun++ < LEAST_CASES || performance.now() < until ? random.pick(faults) : null);
  const totals = await runCases(next, { processes: PROCESSES });
  t.log(`${totals.cases} moves, each twice: ${JSON.stringify(totals.ends)}`);
  t.is(report(totals), '');
});
