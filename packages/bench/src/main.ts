/**
 * `pnpm bench [ROW…] [--smoke] [--runs N]`: runs rows, prints what they found, renews docs/BENCHMARKS.md.
 *
 * Without a name all rows run. A smoke run leaves the document alone. A row that cannot run here says what it lacks; one
 * whose result is wrong fails the run after the others had their turn.
 */
import { parseArgs } from 'node:util';
import { endAll } from './programs.ts';
import { renewDocument } from './report/document.ts';
import { resultText } from './report/text.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/index.ts';
import { lacking, runRow } from './run-row.ts';

const say = (message: string): void => void process.stderr.write(`bench: ${message}\n`);

function usage(message: string): never {
  say(message);
  say(`usage: pnpm bench [ROW…] [--smoke] [--runs N]; rows: ${ROWS.map((row) => row.name).join(' ')}`);
  process.exit(2);
}

function readArguments(): { rows: readonly Row[]; smoke: boolean; rounds: number | null } {
  try {
    const options = { smoke: { type: 'boolean' }, runs: { type: 'string' } } as const;
    const { positionals, values } = parseArgs({ options, allowPositionals: true });
    const unknown = positionals.find((name) => !ROWS.some((row) => row.name === name));
    if (unknown !== undefined) usage(`no row is named ${unknown}`);
    const rounds = values.runs === undefined ? null : Number(values.runs);
    if (rounds !== null && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000))
      usage('--runs takes 1 to 1000');
    const rows = positionals.length === 0 ? ROWS : ROWS.filter((row) => positionals.includes(row.name));
    return { rows, smoke: values.smoke === true, rounds };
  } catch (error) {
    return usage((error as Error).message);
  }
}

const { rows, smoke, rounds } = readArguments();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endAll().then(() => process.exit(130)));
}
let failed = false;
for (const row of rows) {
  const missing = lacking(row);
  if (missing.length > 0) {
    say(`${row.name}: not run, because this needs ${missing.join(', ')}`);
    continue;
  }
  say(`${row.name}: ${row.title}`);
  try {
    const result = await runRow(row, { smoke, rounds, log: (message) => say(`  ${message}`) });
    process.stdout.write(`${resultText(row, result)}\n`);
    if (!smoke) await renewDocument(row, result);
  } catch (error) {
    failed = true;
    say(`${row.name} failed: ${(error as Error).stack}`);
  }
}
process.exit(failed ? 1 : 0);
