/** `model.json` in the folder of an experiment's runs: the recorded boot, and every crowd that was modelled with it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { isAmount, isList, isMapping, isText } from '../run/check-kept.ts';
import type { BootTrace } from './boot-trace.ts';
import type { ModelledCrowd } from './crowd-model.ts';

const FORMAT = 1;
const FILE = 'model.json';

export interface KeptModel {
  readonly trace: BootTrace;
  readonly crowds: readonly ModelledCrowd[];
}

/** It has its name when it is whole. */
export async function keepModel(folder: string, { trace, crowds }: KeptModel): Promise<void> {
  const path = join(folder, FILE);
  const lines = [
    `{"format": ${FORMAT}, "trace": ${JSON.stringify(trace)},`,
    ` "crowds": [\n${crowds.map((crowd) => `  ${JSON.stringify(crowd)}`).join(',\n')}\n]}\n`,
  ];
  await writeFile(`${path}.part`, lines.join('\n'));
  await rename(`${path}.part`, path);
}

/** Null where nothing was modelled. @throws DiskswarmError STATE_VERSION, FORMAT_INVALID */
export async function readModel(folder: string): Promise<KeptModel | null> {
  const path = join(folder, FILE);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  let kept: KeptModel & { readonly format: number };
  try {
    kept = JSON.parse(text) as KeptModel & { readonly format: number };
  } catch (error) {
    throw new DiskswarmError('FORMAT_INVALID', `${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
  if (typeof kept?.format === 'number' && kept.format !== FORMAT)
    throw new DiskswarmError('STATE_VERSION', `${path} was written by another version of the bench`);
  if (!isMapping(kept) || !isMapping(kept.trace) || !isList(kept.crowds, isCrowd)) {
    const words = 'it has no crowds. Delete it, and "bench run … --resume" models them again';
    throw new DiskswarmError('FORMAT_INVALID', `${path} is damaged: ${words}`);
  }
  return kept;
}

function isCrowd(value: unknown): boolean {
  if (!isMapping(value)) return false;
  const { system, link, cores, loginSeconds } = value;
  const amounts = [value.hosts, value.group, value.totalSeconds, value.lineBytes, value.sentBytes, value.oneHostBytes];
  return [system, link].every(isText) && [...amounts, cores ?? 0].every(isAmount) && isList(loginSeconds, isAmount);
}
