/**
 * Runs seeds in processes of their own, each twice, and compares the hashes of their traces.
 *
 * A seed fails when a run fails, takes too long in real time, or does not repeat itself. What is reported is the command that repeats it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { scenarioOf } from './scenario-names.ts';

const RUN = fileURLToPath(new URL('run.ts', import.meta.url));
/** Compiled code is kept here, so that a process starts in half the time. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/diskswarm-sim', import.meta.url));
/** A run that takes longer is taken to hang. */
const RUN_LIMIT_MS = 120_000;
/** Of the output of a run that failed. */
const MAX_OUTPUT_CHARACTERS = 20_000;

export interface SeedFailure {
  readonly seed: string;
  readonly scenario: string;
  /** The command that repeats it. */
  readonly command: string;
  readonly why: string;
}

export interface SeedTotals {
  seeds: number;
  events: number;
  simulatedMs: number;
  readonly byScenario: Record<string, number>;
  readonly failures: SeedFailure[];
}

export interface Seed {
  readonly seed: string;
  readonly scenario: string | null;
}

export function commandOf(seed: string, scenario: string): string {
  return `pnpm sim --seed ${seed} --scenario ${scenario}`;
}

/** Runs what `next` gives until it gives null, `processes` at a time. */
export async function runSeeds(
  next: () => Seed | null,
  { processes, onFailure }: { processes: number; onFailure?: (failure: SeedFailure) => void },
): Promise<SeedTotals> {
  const totals: SeedTotals = { seeds: 0, events: 0, simulatedMs: 0, byScenario: {}, failures: [] };
  const lane = async (): Promise<void> => {
    for (let wanted = next(); wanted !== null; wanted = next()) {
      const scenario = scenarioOf(wanted.seed, wanted.scenario);
      const failure = await runTwice(wanted.seed, scenario, totals);
      totals.seeds++;
      totals.byScenario[scenario] = (totals.byScenario[scenario] ?? 0) + 1;
      if (failure === null) continue;
      const reported = { seed: wanted.seed, scenario, command: commandOf(wanted.seed, scenario), why: failure };
      totals.failures.push(reported);
      onFailure?.(reported);
    }
  };
  await Promise.all(Array.from({ length: processes }, lane));
  return totals;
}

async function runTwice(seed: string, scenario: string, totals: SeedTotals): Promise<string | null> {
  const first = await runInProcess(seed, scenario);
  if ('failure' in first) return first.failure;
  totals.events += first.events;
  totals.simulatedMs += first.simulatedMs;
  const second = await runInProcess(seed, scenario);
  if ('failure' in second) return `the second run failed, the first did not: ${second.failure}`;
  if (first.hash !== second.hash)
    return `two runs differ: ${first.events} events ${first.hash}, then ${second.events} events ${second.hash}`;
  return null;
}

async function runInProcess(
  seed: string,
  scenario: string,
): Promise<{ hash: string; events: number; simulatedMs: number } | { failure: string }> {
  const child = spawn(
    process.execPath,
    ['--conditions=source', RUN, '--seed', seed, '--scenario', scenario, '--json'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE } },
  );
  let out = '';
  let said = '';
  child.stdout.on('data', (bytes) => {
    out += bytes;
  });
  child.stderr.on('data', (bytes) => {
    said = `${said}${bytes}`.slice(-MAX_OUTPUT_CHARACTERS);
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(limit);
  if (code !== 0)
    return { failure: signal === null ? said : `killed by ${signal} after ${RUN_LIMIT_MS / 1000} s\n${said}` };
  return JSON.parse(out) as { hash: string; events: number; simulatedMs: number };
}
