/**
 * `pnpm test:faults`: live migrations between real agents with real machines, and what can go wrong on the way, one run after the other.
 *
 *   pnpm test:faults [--seed N] [--runs N] [--only TEXT] [--long]
 *
 * Without --runs every phase meets every fault once, and each single fault comes once. The seed decides order and timing. `--only` keeps the runs
 * whose phase and fault have TEXT in them; `--long` adds a link that is down for a minute. Prints a line for each run and how many ended how; exit code 1 when one broke the promise.
 */
import { parseArgs } from 'node:util';
import { type Case, choose, MATRIX, nameOf, type Result, runCase } from './matrix.ts';
import { closeAll, Scope } from './scope.ts';
import { linkDown, SINGLES } from './single-cases.ts';
import { makeTemplate } from './world.ts';

const USAGE = 'usage: pnpm test:faults [--seed N] [--runs N] [--only TEXT] [--long]';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string' },
    only: { type: 'string', default: '' },
    long: { type: 'boolean', default: false },
  },
});
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    void closeAll().finally(() => process.exit(1));
  });
}
const seed = values.seed ?? String(Math.floor(Date.now() / 1000));
const all = [...MATRIX, ...SINGLES, ...(values.long ? [linkDown(60)] : [])].filter((kind) =>
  nameOf(kind).includes(values.only),
);
const runs = Number(values.runs ?? all.length);
if (!Number.isSafeInteger(runs) || runs < 1 || all.length === 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  process.exitCode = (await runAll(choose(all, seed, runs))) ? 0 : 1;
}

async function runAll(cases: readonly Case[]): Promise<boolean> {
  const scope = new Scope();
  try {
    console.log(`seed ${seed}, ${cases.length} runs`);
    const template = await makeTemplate(scope);
    const counts = new Map<string, number>();
    for (const [index, kind] of cases.entries()) {
      const result = await runCase(kind, template, `${seed}/${index}`);
      const end = result.wrong.length > 0 ? 'FAILED' : result.landing.landed ? result.end : 'too late';
      counts.set(end, (counts.get(end) ?? 0) + 1);
      console.log(lineOf(index + 1, result));
      if (result.wrong.length === 0) continue;
      for (const line of [...result.wrong, ...result.log]) console.log(line.replaceAll(/^/gm, '    '));
    }
    console.log([...counts].map(([end, count]) => `${count} ${end}`).join(', '));
    return !counts.has('FAILED');
  } finally {
    await scope.close();
  }
}

function lineOf(number: number, result: Result): string {
  const { landing, end, wrong, markers, seconds } = result;
  const outcome = wrong.length > 0 ? `FAILED (${end})` : landing.landed ? end : `too late (${end})`;
  const details = `${landing.how}, ${markers} markers, ${seconds.toFixed(1)} s`;
  return `${String(number).padStart(3)}  ${nameOf(result).padEnd(38)} ${outcome.padEnd(18)} ${details}`;
}
