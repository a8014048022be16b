/**
 * `summary.json` in a folder of runs: what the runs come to, for whoever has the report but not the raw events.
 *
 * docs/BENCHMARKS.md and `--against` read it from docs/results, where raw events are too large to be kept.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { checkManifest, isAmount, isList, isMapping, isText } from '../run/check-kept.ts';
import type { RunManifest } from '../run/run-folder.ts';
import type { Cell } from './summary.ts';

const FORMAT = 1;
const NAME = 'summary.json';

interface KeptSummary {
  readonly format: number;
  /** Of the runs that were reported; the folder's own may belong to newer ones. */
  readonly manifest: RunManifest;
  /** Without their timelines. */
  readonly cells: readonly Cell[];
}

export async function keepSummary(path: string, manifest: RunManifest, cells: readonly Cell[]): Promise<void> {
  const summary: KeptSummary = { format: FORMAT, manifest, cells: cells.map((cell) => ({ ...cell, timeline: null })) };
  await writeFile(join(path, NAME), `${JSON.stringify(summary, short)}\n`);
}

/** Six digits are more than any figure deserves. */
function short(name: string, value: unknown): unknown {
  const isFigure = typeof value === 'number' && ['median', 'lowest', 'highest'].includes(name);
  return isFigure ? Number(value.toPrecision(6)) : value;
}

/** Null where no report was made. @throws DiskswarmError FORMAT_INVALID, STATE_VERSION */
export async function readSummary(path: string): Promise<KeptSummary | null> {
  const text = await readFile(join(path, NAME), 'utf8').catch(() => null);
  if (text === null) return null;
  let summary: KeptSummary;
  try {
    summary = JSON.parse(text) as KeptSummary;
  } catch (error) {
    throw new DiskswarmError('FORMAT_INVALID', `${join(path, NAME)} is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (typeof summary?.format === 'number' && summary.format !== FORMAT)
    throw new DiskswarmError('STATE_VERSION', `${join(path, NAME)} was written by another version of the bench`);
  if (!isMapping(summary) || !isList(summary.cells, isCell))
    throw new DiskswarmError('FORMAT_INVALID', `${join(path, NAME)} is damaged: it has no figures`);
  checkManifest(summary.manifest, join(path, NAME));
  return summary;
}

function isCell(value: unknown): boolean {
  if (!isMapping(value) || !isMapping(value.spreads) || !Array.isArray(value.moves)) return false;
  const { system, link, workload, runs, failed, overLimit, spreads } = value;
  const isSpread = (spread: unknown): boolean =>
    isMapping(spread) && [spread.n, spread.median, spread.lowest, spread.highest].every(isAmount);
  return (
    [system, link, workload].every(isText) &&
    [runs, failed, overLimit].every(isAmount) &&
    Object.values(spreads as object).every(isSpread)
  );
}
