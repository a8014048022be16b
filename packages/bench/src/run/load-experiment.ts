/**
 * Where experiments and their traces are: those that are shipped by name, others by file; read, and kept beside their runs.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiskswarmError } from '@diskswarm/core';
import type { Experiment } from '../experiment/experiment.ts';
import { type ExperimentOverrides, readExperiment } from '../experiment/read-experiment.ts';
import { findTrace, withTraces } from '../traces/trace-files.ts';

const SHIPPED = fileURLToPath(new URL('../../experiments/', import.meta.url));
/** The experiment as its author wrote it, in the folder of its runs. */
const KEPT_FILE = 'experiment.yaml';

/** Names of the shipped experiments. */
export function shippedExperiments(): readonly string[] {
  return readdirSync(SHIPPED)
    .flatMap((file) => (file.endsWith('.yaml') ? [file.slice(0, -'.yaml'.length)] : []))
    .sort();
}

/** Reads a shipped experiment or a file. @throws DiskswarmError BAD_EXPERIMENT, READ_FAILED, INVALID_ARGUMENT for neither */
export function loadExperiment(nameOrFile: string, overrides: ExperimentOverrides = {}): Experiment {
  const path = pathOf(nameOrFile);
  if (!existsSync(path)) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `${nameOrFile} is neither a file nor an experiment; there are ${shippedExperiments().join(', ')}`,
      { data: { field: 'experiment' } },
    );
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new DiskswarmError('READ_FAILED', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return withTraces(readExperiment(text, nameOrFile, overrides), traceFoldersOf(nameOrFile));
}

function pathOf(nameOrFile: string): string {
  return shippedExperiments().includes(nameOrFile) ? `${SHIPPED}${nameOrFile}.yaml` : nameOrFile;
}

/** Where the traces of an experiment may be. */
function traceFoldersOf(nameOrFile: string): readonly string[] {
  return shippedExperiments().includes(nameOrFile) ? [SHIPPED] : [dirname(nameOrFile), SHIPPED];
}

/** The file of a trace that one of its workloads names. @throws DiskswarmError BAD_EXPERIMENT when there is none */
export function traceOf(nameOrFile: string, trace: string): string {
  return findTrace(trace, traceFoldersOf(nameOrFile));
}

/** What `bench run` takes, to do the runs of a folder again. */
export function repeatedBy({ name }: Experiment): string {
  return shippedExperiments().includes(name) ? name : KEPT_FILE;
}

/** Whoever gets the folder can repeat it: keeps the file as it is, and its traces where they are not shipped. */
export async function keepExperiment({ traces = {} }: Experiment, nameOrFile: string, out: string): Promise<void> {
  const own = Object.keys(traces)
    .map((trace) => traceOf(nameOrFile, trace))
    .filter((path) => dirname(path) !== dirname(join(SHIPPED, KEPT_FILE)));
  const files = [[pathOf(nameOrFile), KEPT_FILE], ...own.map((path) => [path, basename(path)])] as const;
  // Read before it is written: the folder may be where it comes from.
  for (const [from, name] of files) await writeFile(join(out, name!), await readFile(from!));
}
