/**
 * `bench list|run|report`: the researcher's bench, which stands above this package and is loaded when it is asked for.
 *
 * Only what it is given and gives back is known here; experiments, systems and reports are the bench's.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { Command } from 'commander';
import { FailedResult } from '../output.ts';
import { parseCount, parseWhole } from '../parse.ts';
import type { Action } from '../program.ts';

/** A result for programs and for people. */
export interface BenchResult {
  readonly document: object;
  readonly text: string;
  /** Why it is an error all the same, in words; left out when it is none. */
  readonly failure?: string;
}

/** What `bench run` is told. */
interface BenchRunOptions {
  readonly experiment: string;
  readonly runs?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly resume: boolean;
  readonly smoke: boolean;
  readonly signal: AbortSignal;
  /** A line for people about how far it is. */
  readonly say: (text: string) => void;
}

/** What the bench offers to the command line; its errors are DiskswarmErrors. */
export interface BenchProgram {
  list(): Promise<BenchResult>;
  run(options: BenchRunOptions): Promise<BenchResult>;
  /** Writes the report of the runs in `dir` into it, beside those in `against`. */
  report(dir: string, against: string | null): Promise<BenchResult>;
}

const OWN_ENDING = import.meta.url.endsWith('.ts') ? 'src/command.ts' : 'dist/command.js';
const PROGRAM = new URL(`../../../../packages/bench/${OWN_ENDING}`, import.meta.url);

async function load(): Promise<BenchProgram> {
  return ((await import(PROGRAM.href)) as { readonly BENCH: BenchProgram }).BENCH;
}

interface RunFlags {
  readonly runs?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly resume?: true;
  readonly smoke?: true;
}

export function registerBenchCommands(program: Command, action: Action): void {
  const bench = program.command('bench').description('experiments that compare diskswarm with others');
  bench
    .command('list')
    .description('the experiments, systems and workloads that there are')
    .action(
      action<[], object>(async ({ output }) => {
        const { document, text } = await (await load()).list();
        output.result(document, text);
      }),
    );
  bench
    .command('run')
    .argument('<experiment>', 'the name of a shipped experiment, or a file')
    .option('--runs <n>', 'of each system in each place', (text) => parseCount('runs', text))
    .option('--seed <n>', 'of the order of runs, the guests and the line', (text) => parseWhole('seed', text))
    .option('--out <dir>', 'where the runs are kept; the name of the experiment unless said')
    .option('--resume', 'go on with the runs in --out')
    .option('--smoke', 'the small run of it, which shows that it works and says nothing about speed')
    .description('run an experiment; finished runs are kept whatever happens')
    .action(
      action<[string], RunFlags>(async ({ output, signal }, [experiment], { resume, smoke, ...flags }) => {
        const say = (text: string): void => output.note(text);
        const options = { ...flags, experiment, resume: resume === true, smoke: smoke === true, signal, say };
        const { document, text, failure } = await (await load()).run(options);
        if (failure !== undefined) throw new FailedResult(document, new DiskswarmError('RUNS_FAILED', failure));
        output.result(document, text);
      }),
    );
  bench
    .command('report')
    .argument('<dir>', 'what bench run kept')
    .option('--against <dir>', 'earlier runs, to mark what got worse or better')
    .description('write report.html, report.md, CSV and plots into the folder')
    .action(
      action<[string], { against?: string }>(async ({ output }, [dir], { against }) => {
        const { document, text } = await (await load()).report(dir, against ?? null);
        output.result(document, text);
      }),
    );
}
