/**
 * Runs an experiment from its file to its folder of runs.
 *
 * Nothing starts before the file, the machine and the folder were found good. An interrupt ends everything that was started, takes the
 * namespaces away and keeps the runs that were finished; the one that was under way is done again with `resume`.
 */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { type GuestArtefacts, prepareGuest } from '@diskswarm/guest';
import type { Experiment } from '../experiment/experiment.ts';
import { type PlannedRun, planRuns } from '../experiment/plan.ts';
import { checkMachine, needsGuest } from '../experiment/preflight.ts';
import type { ExperimentOverrides } from '../experiment/read-experiment.ts';
import { CRASHES_BORNE } from '../hosts/guest-crash.ts';
import { describeMachine } from '../machine.ts';
import { SYSTEMS } from '../systems/index.ts';
import { endOwn, removeLeftOvers } from './left-overs.ts';
import { keepExperiment, loadExperiment, traceOf } from './load-experiment.ts';
import { RunFolder } from './run-folder.ts';
import { runModel } from './run-model.ts';
import { type RunEnd, runOne } from './run-one.ts';
import { TimeLeft } from './time-left.ts';
import { toolVersions } from './versions.ts';

const MIB = 2 ** 20;

export interface RunExperimentOptions extends ExperimentOverrides {
  /** The name of a shipped experiment, or a file. */
  readonly experiment: string;
  /** @default NAME in the present folder */
  readonly out?: string;
  /** Goes on with the runs in `out`. */
  readonly resume: boolean;
  readonly signal: AbortSignal;
  /** A line for people. */
  readonly say: (text: string) => void;
}

/** What came of it. */
export interface ExperimentEnd {
  readonly out: string;
  readonly runs: number;
  /** Of these, done in this call. */
  readonly done: number;
}

/** @throws DiskswarmError as loadExperiment, checkMachine and RunFolder do; ABORTED when it was interrupted */
export async function runExperiment(options: RunExperimentOptions): Promise<ExperimentEnd> {
  const { signal } = options;
  const experiment = loadExperiment(options.experiment, options);
  const out = resolve(options.out ?? experiment.name);
  if (options.resume) checkSame((await RunFolder.open(out)).manifest.experiment, experiment, out);
  else RunFolder.checkFree(out);
  mkdirSync(dirname(out), { recursive: true });
  checkMachine(experiment, dirname(out));
  const interrupted = whenAborted(signal);
  try {
    await removeLeftOvers();
    return await Promise.race([interrupted, runAll(experiment, out, options)]);
  } finally {
    if (signal.aborted) await endOwn();
  }
}

async function runAll(
  experiment: Experiment,
  out: string,
  { experiment: nameOrFile, resume, say, signal }: RunExperimentOptions,
): Promise<ExperimentEnd> {
  const artefacts = needsGuest(experiment) ? await prepare(experiment, say) : null;
  for (const { name, obtain } of SYSTEMS) if (experiment.systems.includes(name)) await obtain?.(say);
  const here = { machine: describeMachine(), versions: await toolVersions(artefacts, programsOf(experiment)) };
  const folder = resume
    ? await RunFolder.open(out)
    : await RunFolder.create(out, { experiment, startedAt: new Date().toISOString(), ...here });
  if (!resume) await keepExperiment(experiment, nameOrFile, out);
  const plan = planRuns(experiment);
  const finished = await folder.finished();
  const left = new TimeLeft(plan.filter(({ number }) => !finished.has(number)));
  const todo = left.runs;
  if (resume && todo[0] !== undefined) await folder.resume({ firstRun: todo[0].number, ...here });
  for (const run of todo) {
    say(`run ${run.number} of ${plan.length}: ${wordsOf(run)}${left.text()}`);
    const startMs = performance.now();
    const log = (text: string): void => say(`  ${text}`);
    const trace = run.workload.trace === undefined ? null : traceOf(nameOrFile, run.workload.trace);
    let end: RunEnd = 'crashed';
    for (let crashes = 0; end === 'crashed' && crashes <= CRASHES_BORNE; crashes++) {
      if (crashes > 0) log(`the guest's kernel crashed (docs/MIGRATION.md, Memory): done again`);
      end = await folder.keep(
        run,
        (record) => {
          if (crashes > 0) record('again', performance.now(), { crashes });
          return runOne(experiment, run, artefacts, { trace, record, log, signal });
        },
        (outcome) => outcome === 'crashed' && crashes < CRASHES_BORNE,
      );
    }
    left.finished(run, performance.now() - startMs);
  }
  if (artefacts !== null) await runModel(experiment, artefacts, { out, say, signal });
  return { out, runs: plan.length, done: todo.length };
}

function prepare({ guest, seed }: Experiment, log: (text: string) => void): Promise<GuestArtefacts> {
  // For all alike: whether hardware acceleration is there must not decide.
  process.env.DISKSWARM_ACCEL = 'tcg';
  const { diskMib, contentMib } = guest;
  return prepareGuest({
    image: { sizeBytes: diskMib * MIB, contentBytes: contentMib * MIB, bootBytes: MIB, incompressible: true, seed },
    log,
  });
}

function programsOf({ systems }: Experiment): readonly string[] {
  return SYSTEMS.flatMap(({ name, programs }) => (systems.includes(name) ? programs : []));
}

function wordsOf({ system, link, workload, round }: PlannedRun): string {
  return `${system}, ${link.name}, ${workload.label}, round ${round}`;
}

function checkSame(kept: Experiment, asked: Experiment, out: string): void {
  if (JSON.stringify(kept) === JSON.stringify(asked)) return;
  throw new DiskswarmError(
    'INVALID_ARGUMENT',
    `${out} holds runs of another experiment, seed or number of runs; --resume goes on with the same only`,
    { data: { field: 'resume' } },
  );
}

function whenAborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void =>
    reject(new DiskswarmError('ABORTED', 'interrupted; finished runs are kept, --resume goes on'));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  promise.catch(() => {}); // Nobody may be waiting any more.
  return promise;
}
