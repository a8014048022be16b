/** The modelled part of an experiment, after its runs: records a boot of its guest and models all crowds; once for a folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import type { GuestArtefacts } from '@diskswarm/guest';
import type { Experiment } from '../experiment/experiment.ts';
import type { BootTrace } from '../model/boot-trace.ts';
import { type ModelledCrowd, modelPlanned, planCrowds } from '../model/crowd-model.ts';
import { keepModel, readModel } from '../model/kept-model.ts';
import { recordBoot } from '../model/record-boot.ts';
import { endAll } from '../programs.ts';
import { RUN_FOLDER } from './left-overs.ts';

/** Resolves at once where nothing is to be modelled, or was before. Rejects when the signal fires. */
export async function runModel(
  experiment: Experiment,
  artefacts: GuestArtefacts,
  { out, say, signal }: { out: string; say: (text: string) => void; signal: AbortSignal },
): Promise<void> {
  const plan = planCrowds(experiment);
  if (plan.length === 0 || (await readModel(out)) !== null) return;
  say('model: a boot is recorded');
  const trace = await record(experiment, artefacts);
  const crowds: ModelledCrowd[] = [];
  for (const [index, planned] of plan.entries()) {
    say(`model ${index + 1} of ${plan.length}: ${planned.hosts} hosts, ${planned.system}, ${planned.link.name}`);
    crowds.push(await modelPlanned(planned, { experiment, trace, cores: os.availableParallelism(), signal }));
  }
  await keepModel(out, { trace, crowds });
}

async function record(experiment: Experiment, artefacts: GuestArtefacts): Promise<BootTrace> {
  const folder = await mkdtemp(join(os.tmpdir(), RUN_FOLDER));
  try {
    const { guest, limitSeconds } = experiment;
    return await recordBoot({ artefacts, memoryMib: guest.memoryMib, folder, timeoutMs: limitSeconds * 1000 });
  } finally {
    await endAll();
    await rm(folder, { recursive: true, force: true });
  }
}
