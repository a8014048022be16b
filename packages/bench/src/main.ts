/**
 * `pnpm bench [ROW…] [--smoke] [--runs N]`: runs rows, prints what they found, keeps it in docs/results/micro and writes docs/BENCHMARKS.md
 * anew. `pnpm bench --document` only writes the document.
 *
 * Without a name all rows run. A smoke run leaves results and document alone, an interrupt nothing behind. A row that cannot run here
 * says what it lacks; one whose result is wrong fails the run after the others had their turn.
 */
import { parseArgs } from 'node:util';
import { keepRow, renewDocument } from './report/document.ts';
import { recordOf } from './report/row-record.ts';
import { resultText } from './report/text.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/index.ts';
import { endOwn, removeLeftOvers } from './run/left-overs.ts';
import { factsOf, lacking, runRow } from './run-row.ts';

const say = (message: string): void => void process.stderr.write(`bench: ${message}\n`);

function usage(message: string): never {
  say(message);
  say(
    `usage: pnpm bench [ROW…] [--smoke] [--runs N], or pnpm bench --document; rows: ${ROWS.map((row) => row.name).join(' ')}`,
  );
  process.exit(2);
}

function readArguments(): { rows: readonly Row[]; smoke: boolean; rounds: number | null; document: boolean } {
  try {
    const options = { smoke: { type: 'boolean' }, runs: { type: 'string' }, document: { type: 'boolean' } } as const;
    const { positionals, values } = parseArgs({ options, allowPositionals: true });
    const unknown = positionals.find((name) => !ROWS.some((row) => row.name === name));
    if (unknown !== undefined) usage(`no row is named ${unknown}`);
    const rounds = values.runs === undefined ? null : Number(values.runs);
    if (rounds !== null && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000))
      usage('--runs takes 1 to 1000');
    const document = values.document === true;
    if (document && (positionals.length > 0 || values.smoke === true || rounds !== null))
      usage('--document runs no rows');
    const rows = positionals.length === 0 ? ROWS : ROWS.filter((row) => positionals.includes(row.name));
    return { rows, smoke: values.smoke === true, rounds, document };
  } catch (error) {
    return usage((error as Error).message);
  }
}

/** Nothing of an interrupted row stays: programs, namespaces, folders. */
async function endInterrupted(): Promise<never> {
  interrupted = true;
  await endOwn();
  process.exit(130);
}

let interrupted = false;
const { rows, smoke, rounds, document } = readArguments();
if (document) {
  await renewDocument();
  process.exit(0);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endInterrupted());
}
await removeLeftOvers();
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
    if (smoke) continue;
    await keepRow(recordOf(row, result, await factsOf(row)));
    await renewDocument();
  } catch (error) {
    if (interrupted) await new Promise(() => {}); // Until endInterrupted ends the process.
    failed = true;
    say(`${row.name} failed: ${(error as Error).stack}`);
  }
}
process.exit(failed ? 1 : 0);
