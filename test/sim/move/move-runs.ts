/**
 * Runs cases in processes of their own, many in each, every one twice, and compares the hashes of their traces.
 *
 * A case fails when a run fails, takes too long in real time, or does not repeat itself. What is reported is the command that repeats it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { caseOf, nameOf } from './cases.ts';
import { type MoveCase, type MoveResult, runMove } from './one-move.ts';

const RUN = fileURLToPath(new URL('run.ts', import.meta.url));
/** A case that takes longer is taken to hang. */
const CASE_LIMIT_MS = 120_000;
/** What simulated hosts hold when a case ends is not all given back: hundreds of cases in one process took gigabytes. */
const CASES_PER_WORKER = 25;

/** What became of a case. */
export type Report = Pick<MoveResult, 'end' | 'steps' | 'struck' | 'events'> | { readonly failure: string };

export interface MoveTotals {
  cases: number;
  events: number;
  readonly ends: Record<string, number>;
  readonly failures: { readonly name: string; readonly why: string }[];
}

export function commandOf(name: string): string {
  return `pnpm sim:moves --case "${name}"`;
}

/** Runs what `next` gives until it gives null, `processes` at a time. */
export async function runCases(
  next: () => MoveCase | null,
  { processes, onReport }: { processes: number; onReport?: (wanted: MoveCase, report: Report) => void },
): Promise<MoveTotals> {
  const totals: MoveTotals = { cases: 0, events: 0, ends: {}, failures: [] };
  const lane = async (): Promise<void> => {
    let worker: Worker | null = null;
    for (let wanted = next(); wanted !== null; wanted = next()) {
      if (worker?.cases === CASES_PER_WORKER) {
        worker.end();
        worker = null;
      }
      worker ??= new Worker();
      const name = nameOf(wanted);
      const report = await worker.run(name);
      totals.cases++;
      if ('failure' in report) {
        totals.failures.push({ name, why: report.failure });
        worker.end(); // What it left behind belongs to no other case.
        worker = null;
      } else {
        const end = report.struck ? report.end : `${report.end}, before all faults`;
        totals.events += report.events;
        totals.ends[end] = (totals.ends[end] ?? 0) + 1;
      }
      onReport?.(wanted, report);
    }
    worker?.end();
  };
  await Promise.all(Array.from({ length: processes }, lane));
  return totals;
}

/** Takes the names of cases, one per line, and answers each with a line: the process of a worker. */
export async function serveCases(): Promise<void> {
  for await (const name of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await runTwice(caseOf(name)))}\n`);
  }
}

async function runTwice(wanted: MoveCase): Promise<Report> {
  try {
    const first = await runMove(wanted);
    const second = await runMove(wanted);
    if (first.hash !== second.hash)
      return { failure: `two runs differ: ${first.events} events ${first.hash}, then ${second.events} ${second.hash}` };
    const { end, steps, struck, events } = first;
    return { end, steps, struck, events };
  } catch (error) {
    const { cause } = error as Error;
    return { failure: String(cause ?? error) };
  }
}

class Worker {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  /** That it was given. */
  cases = 0;

  constructor() {
    this.#child = spawn(process.execPath, ['--conditions=source', RUN, '--worker'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async run(name: string): Promise<Report> {
    this.cases++;
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), CASE_LIMIT_MS);
    try {
      this.#child.stdin!.write(`${name}\n`);
      const { value, done } = await this.#answers.next();
      if (done === true) return { failure: `the process ended, or took more than ${CASE_LIMIT_MS / 1000} s` };
      return JSON.parse(value) as Report;
    } finally {
      clearTimeout(limit);
    }
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
