/**
 * The folder of an experiment's runs: a manifest, and one file of raw events per run that was finished.
 *
 *   DIR/manifest.json                 experiment, seed, machine, versions
 *   DIR/experiment.yaml               the file that describes it, with the traces that it names
 *   DIR/runs/0007-SYSTEM.jsonl        one JSON object per line, first `begin`, among the last `moved`, `booted`, `roamed` or `broken`
 *
 * A run's file gets its name when it is whole and synced, so what stands under such a name is never half a run. A folder of which the
 * report alone was kept, as in docs/results, has no runs/ and can be begun anew.
 */
import { existsSync, statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import type { Experiment } from '../experiment/experiment.ts';
import { type PlannedRun, planRuns } from '../experiment/plan.ts';
import type { RecordEvent } from '../hosts/measure-move.ts';
import { load } from '../machine.ts';
import { checkManifest, checkRun } from './check-kept.ts';

const FORMAT = 1;
const MANIFEST = 'manifest.json';
const RUNS = 'runs';
/** Of one run: an hour of ticks every 10 ms is half of it. What happens once is kept beyond them. */
const MAX_BEATS = 1_000_000;
/** Events that come again and again. */
const BEATS = new Set(['tick', 'wrote', 'read', 'ok', 'bytes', 'failed', 'stall', 'line', 'request']);

/** What all runs of a folder have in common. */
export interface RunManifest {
  readonly format: number;
  readonly experiment: Experiment;
  /** When it was begun, ISO 8601. */
  readonly startedAt: string;
  /** In words. */
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Where it was gone on with on another machine, or with other versions. */
  readonly resumed?: readonly Resumption[];
}

/** From its first run on machine and versions were these. */
export interface Resumption {
  readonly firstRun: number;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** One line of a run's file. */
export interface RunEvent {
  readonly event: string;
  /** Milliseconds since the run began. */
  readonly atMs: number;
  readonly [field: string]: unknown;
}

export class RunFolder {
  readonly path: string;
  readonly manifest: RunManifest;

  private constructor(path: string, manifest: RunManifest) {
    this.path = path;
    this.manifest = manifest;
  }

  /** @throws DiskswarmError NAME_EXISTS when runs are there already, INVALID_ARGUMENT when it is no folder */
  static checkFree(path: string): void {
    if (existsSync(path) && !statSync(path).isDirectory())
      throw new DiskswarmError('INVALID_ARGUMENT', `${path} is no folder`, { data: { field: 'out' } });
    if (existsSync(join(path, MANIFEST)) && existsSync(join(path, RUNS))) {
      throw new DiskswarmError(
        'NAME_EXISTS',
        `${path} has runs already: go on with --resume, or choose another --out`,
        {
          data: { out: path },
        },
      );
    }
  }

  /** Begins a new one. @throws DiskswarmError as checkFree does */
  static async create(path: string, manifest: Omit<RunManifest, 'format'>): Promise<RunFolder> {
    RunFolder.checkFree(path);
    await mkdir(join(path, RUNS), { recursive: true });
    const whole = { format: FORMAT, ...manifest };
    await writeManifest(path, whole);
    return new RunFolder(path, whole);
  }

  /** Notes that runs from `firstRun` on are made on this machine and with these versions, where that is new. */
  async resume(now: Resumption): Promise<void> {
    const { resumed = [] } = this.manifest;
    const { machine, versions } = resumed.at(-1) ?? this.manifest;
    if (JSON.stringify([machine, versions]) === JSON.stringify([now.machine, now.versions])) return;
    await writeManifest(this.path, { ...this.manifest, resumed: [...resumed, now] });
  }

  /** Opens what was begun. @throws DiskswarmError INVALID_ARGUMENT when there is none, STATE_VERSION when it is of another version */
  static async open(path: string): Promise<RunFolder> {
    const text = await readFile(join(path, MANIFEST), 'utf8').catch(() => null);
    if (text === null) {
      throw new DiskswarmError('INVALID_ARGUMENT', `${path} holds no runs: ${MANIFEST} is not there`, {
        data: { field: 'dir' },
      });
    }
    const manifest = parse<RunManifest | null>(text, join(path, MANIFEST));
    if (typeof manifest?.format === 'number' && manifest.format !== FORMAT) {
      throw new DiskswarmError('STATE_VERSION', `${path} was written by another version of the bench`);
    }
    return new RunFolder(path, checkManifest(manifest, join(path, MANIFEST)));
  }

  /** Numbers of the runs that are done. */
  async finished(): Promise<ReadonlySet<number>> {
    return new Set(
      (await this.#names()).flatMap((name) => (/^(\d+)-.*\.jsonl$/.test(name) ? [Number.parseInt(name, 10)] : [])),
    );
  }

  async #names(): Promise<readonly string[]> {
    return existsSync(join(this.path, RUNS)) ? await readdir(join(this.path, RUNS)) : [];
  }

  /**
   * The events of every finished run, in the order of the runs, one run at a time.
   *
   * @throws DiskswarmError FORMAT_INVALID for a file that is not what a run of this experiment leaves
   */
  async *runs(): AsyncGenerator<readonly RunEvent[]> {
    const planned = new Map(planRuns(this.manifest.experiment).map((run) => [run.number, run]));
    for (const name of (await this.#names()).filter((each) => each.endsWith('.jsonl')).sort()) {
      const file = join(this.path, RUNS, name);
      const number = Number.parseInt(name, 10);
      yield checkRun(await readFile(file, 'utf8'), planned.get(number), file);
      planned.delete(number);
    }
  }

  /**
   * Does one run and keeps what it records; gives what `work` gives. Nothing is kept when `work` rejects, or gives what `isForNothing`
   * says so of.
   */
  async keep<Value>(
    run: PlannedRun,
    work: (record: RecordEvent) => Promise<Value>,
    isForNothing: (value: Value) => boolean = () => false,
  ): Promise<Value> {
    const path = join(this.path, RUNS, `${String(run.number).padStart(4, '0')}-${run.system}.jsonl`);
    const part = `${path}.part`;
    const startMs = performance.now();
    const lines: string[] = [];
    let beats = 0;
    const record: RecordEvent = (event, atMs, data = {}) => {
      if (BEATS.has(event) && ++beats > MAX_BEATS) return;
      lines.push(JSON.stringify({ event, atMs: Math.round((atMs - startMs) * 10) / 10, ...data }));
    };
    const { number, system, round, seed } = run;
    record('begin', startMs, {
      number,
      system,
      link: run.link.name,
      workload: run.workload.label,
      round,
      seed,
      load: load(),
    });
    const value = await work(record);
    if (isForNothing(value)) return value;
    if (beats > MAX_BEATS)
      record('broken', performance.now(), { reason: `more than ${MAX_BEATS} events: too long for them` });
    await mkdir(join(this.path, RUNS), { recursive: true });
    const file = await open(part, 'w');
    await file.writeFile(`${lines.join('\n')}\n`);
    await file.sync();
    await file.close();
    await rename(part, path);
    return value;
  }
}

async function writeManifest(path: string, manifest: RunManifest): Promise<void> {
  await writeFile(join(path, `${MANIFEST}.part`), `${JSON.stringify(manifest, null, 2)}\n`);
  await rename(join(path, `${MANIFEST}.part`), join(path, MANIFEST));
}

function parse<Shape>(text: string, path: string): Shape {
  try {
    return JSON.parse(text) as Shape;
  } catch (error) {
    throw new DiskswarmError('FORMAT_INVALID', `${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
}
