/**
 * The traces that an experiment names: found beside its file or among the shipped ones, checked, and known by their digests, so that runs
 * which go on or are compared have had the same.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import type { Experiment } from '../experiment/experiment.ts';
import { MAX_TRACE_BYTES, parseTrace, reachOf } from './trace.ts';

const MIB = 2 ** 20;

/** The file of a trace in the first of some folders that has it. @throws DiskswarmError BAD_EXPERIMENT when none has */
export function findTrace(name: string, folders: readonly string[]): string {
  const path = folders.map((folder) => join(folder, name)).find((each) => existsSync(each));
  if (path !== undefined) return path;
  throw new DiskswarmError('BAD_EXPERIMENT', `the trace ${name} is neither beside the experiment nor a shipped one`, {
    data: { field: 'trace' },
  });
}

/** The experiment with the digests of its traces, all of which are good and fit its disk. @throws DiskswarmError BAD_EXPERIMENT, READ_FAILED */
export function withTraces(experiment: Experiment, folders: readonly string[]): Experiment {
  const names = new Set(experiment.workloads.flatMap(({ trace }) => trace ?? []));
  if (names.size === 0) return experiment;
  const traces: Record<string, string> = {};
  for (const name of names) {
    const text = readTrace(findTrace(name, folders), name);
    const needMib = Math.ceil(reachOf(parseTrace(text, name)) / MIB);
    if (needMib > experiment.guest.diskMib) {
      const has = `the disk has ${experiment.guest.diskMib}`;
      throw new DiskswarmError('BAD_EXPERIMENT', `guest.disk: ${name} needs ${needMib} MiB, ${has}`, {
        data: { field: 'guest.disk' },
      });
    }
    traces[name] = createHash('sha256').update(text).digest('hex');
  }
  return { ...experiment, traces };
}

function readTrace(path: string, name: string): string {
  try {
    // Before any of it is in memory.
    if (statSync(path).size <= MAX_TRACE_BYTES) return readFileSync(path, 'utf8');
  } catch (error) {
    throw new DiskswarmError('READ_FAILED', `${name} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  throw new DiskswarmError('BAD_EXPERIMENT', `${name} is larger than ${MAX_TRACE_BYTES} bytes`);
}
