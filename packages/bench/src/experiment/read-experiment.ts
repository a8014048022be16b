/**
 * An experiment file, read strictly: unknown fields, unknown systems, links that cannot be and disks that do not fit are
 * refused before anything runs.
 *
 * The `smoke` part of a file holds what a small run has instead; a shipped experiment has one, so that it can be tried.
 */
import { DiskswarmError } from '@diskswarm/core';
import { SYSTEMS } from '../systems/index.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { Direction, Experiment, GuestChoice, LinkChoice, ModelChoice, WorkloadChoice } from './experiment.ts';
import { choice, Fields, fileName, list, name, type Reader, refuse, text, whole } from './fields.ts';
import { delay, loss, mebibytes, rate, roundTrip, seconds } from './units.ts';
import { parseYaml } from './yaml.ts';

const MAX_LIST = 64;
const MAX_RUNS = 1000;
const MAX_MODELLED_HOSTS = 10_000;
const MAX_MODELS = 8;
/** What the file system's own tables, the journal and the userland take of a guest's disk. */
const DISK_OVERHEAD_MIB = 16;
/** A guest writes beside its content. */
const WORK_MIB = 8;
const LEAST_MEMORY_MIB = 96;
const MAX_SEED = 2 ** 31 - 1;

/** What the command line says beside the file. */
export interface ExperimentOverrides {
  readonly runs?: number;
  readonly seed?: number;
  /** Takes the file's `smoke` part. */
  readonly smoke?: boolean;
}

/** The experiment in `source`, without its traces' digests; `place` is where it came from. @throws DiskswarmError BAD_EXPERIMENT */
export function readExperiment(source: string, place: string, overrides: ExperimentOverrides = {}): Experiment {
  const document = parseYaml(source, place);
  new Fields(document, place);
  const { smoke, ...whole_ } = document as Record<string, unknown>;
  const small = smoke === undefined ? null : smallerOf(whole_, smoke);
  if (overrides.smoke === true && small === null) {
    throw new DiskswarmError('BAD_EXPERIMENT', `${place} has no "smoke" part, so there is no small run of it`);
  }
  const full = readWhole(whole_);
  const smoked = small !== null && overrides.smoke === true;
  const chosen = smoked ? readWhole(small) : full;
  const { runs = chosen.runs, seed = chosen.seed } = overrides;
  return { ...chosen, smoke: smoked, runs: whole(1, MAX_RUNS)(runs, 'runs'), seed: whole(0, MAX_SEED)(seed, 'seed') };
}

function smallerOf(document: Record<string, unknown>, smoke: unknown): Record<string, unknown> {
  new Fields(smoke, 'smoke');
  const allowed = ['systems', 'links', 'workloads', 'guest', 'limit', 'model'];
  const stray = Object.keys(smoke as object).find((field) => !allowed.includes(field));
  if (stray !== undefined) refuse(`smoke.${stray}`, stray, `one of ${allowed.join(', ')}`);
  return { ...document, ...(smoke as object), runs: 1 };
}

function readWhole(document: unknown): Omit<Experiment, 'smoke'> {
  const fields = new Fields(document, '');
  const experiment = {
    name: fields.take('name', name),
    title: fields.take('title', text(200)),
    about: fields.may('about', text(4000), ''),
    systems: distinct(fields.take('systems', list(choice(SYSTEMS.map((system) => system.name)), MAX_LIST)), 'systems'),
    links: fields.take('links', readLinks),
    workloads: fields.take('workloads', list(readWorkload, MAX_LIST)),
    guest: fields.take('guest', readGuest),
    runs: fields.take('runs', whole(1, MAX_RUNS)),
    seed: fields.may('seed', whole(0, MAX_SEED), 1),
    limitSeconds: fields.may('limit', seconds, 300),
    ...(fields.has('model') ? { model: fields.take('model', readModel) } : {}),
  };
  fields.end();
  distinct(
    experiment.links.map((link) => link.name),
    'links',
  );
  distinct(
    experiment.workloads.map(({ label }) => label),
    'workloads',
  );
  checkPossible(experiment);
  return experiment;
}

/** A list of links, or rates and round trips of which every pair is one. */
const readLinks: Reader<readonly LinkChoice[]> = (value, path) => {
  if (Array.isArray(value)) return list(readLink, MAX_LIST)(value, path);
  const fields = new Fields(value, path);
  const rates = fields.take('rates', list(rate, MAX_LIST));
  const roundTrips = fields.take('round-trips', list(roundTrip, MAX_LIST));
  fields.end();
  return rates.flatMap((bitsPerSecond) =>
    roundTrips.map((milliseconds) => {
      const way = { bitsPerSecond, delayMs: milliseconds / 2, lossShare: 0 };
      return { name: `${bitsPerSecond / 1e6} Mbit/s, ${milliseconds} ms`, there: way, back: way };
    }),
  );
};

const readLink: Reader<LinkChoice> = (value, path) => {
  const fields = new Fields(value, path);
  const link = fields.take('name', text(48));
  const milliseconds = fields.may('round-trip', roundTrip, 0);
  const lossShare = fields.may('loss', loss, 0);
  const way = (bitsPerSecond: number): Direction => ({ bitsPerSecond, delayMs: milliseconds / 2, lossShare });
  if (fields.has('rate')) {
    const both = fields.take('rate', rate);
    if (fields.has('there') || fields.has('back'))
      refuse(path, value, 'a link with either "rate" or "there" and "back"');
    fields.end();
    return { name: link, there: way(both), back: way(both) };
  }
  const readWay: Reader<Direction> = (own, ownPath) => {
    if (typeof own !== 'object') return way(rate(own, ownPath));
    const parts = new Fields(own, ownPath);
    if (fields.has('round-trip') && parts.has('delay'))
      refuse(path, value, 'a link with either "round-trip" or the "delay" of a direction');
    const direction = {
      bitsPerSecond: parts.take('rate', rate),
      delayMs: parts.may('delay', delay, milliseconds / 2),
      lossShare: parts.may('loss', loss, lossShare),
    };
    parts.end();
    return direction;
  };
  const [there, back] = [fields.take('there', readWay), fields.take('back', readWay)];
  fields.end();
  return { name: link, there, back };
};

/** A name, or a mapping of a name to its settings. */
const readWorkload: Reader<WorkloadChoice> = (value, path) => {
  const [key, given] = typeof value === 'string' ? [value, {}] : onlyEntry(value, path);
  const workload = WORKLOADS.find((each) => each.name === key);
  if (workload === undefined) return refuse(path, key, `one of ${WORKLOADS.map((each) => each.name).join(', ')}`);
  const fields = new Fields(given, `${path}.${key}`);
  const settings: Record<string, number> = {};
  for (const [setting, { least, most, otherwise, powerOfTwo }] of Object.entries(workload.settings)) {
    const value = fields.may(setting, whole(least, most), otherwise);
    if (powerOfTwo === true && !Number.isInteger(Math.log2(value)))
      refuse(`${path}.${key}.${setting}`, value, 'a power of two');
    settings[setting] = value;
  }
  const named = workload.kind === 'boot' ? workload.trace : undefined;
  const trace = named === undefined ? undefined : fields.may('trace', fileName, named);
  fields.end();
  return { name: key, label: workload.label(settings, trace), settings, ...(trace === undefined ? {} : { trace }) };
};

function onlyEntry(value: unknown, path: string): readonly [string, unknown] {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return entries.length === 1 ? entries[0]! : refuse(path, value, 'a workload, or one workload with its settings');
}

const readGuest: Reader<GuestChoice> = (value, path) => {
  const fields = new Fields(value, path);
  const guest = {
    memoryMib: fields.may('memory', mebibytes, 128),
    diskMib: fields.take('disk', mebibytes),
    contentMib: fields.take('content', mebibytes),
  };
  fields.end();
  if (![guest.memoryMib, guest.diskMib, guest.contentMib].every(Number.isInteger)) {
    refuse(path, value, 'a guest whose sizes are whole MiB');
  }
  if (guest.memoryMib < LEAST_MEMORY_MIB)
    refuse(`${path}.memory`, `${guest.memoryMib} MiB`, 'enough: a guest boots with 96 MiB');
  return guest;
};

const readModel: Reader<ModelChoice> = (value, path) => {
  const fields = new Fields(value, path);
  const model = {
    hosts: fields.take('hosts', list(whole(1, MAX_MODELLED_HOSTS), MAX_MODELS)),
    lanBitsPerSecond: fields.take('lan', rate),
  };
  fields.end();
  return model;
};

function distinct(values: readonly string[], path: string): readonly string[] {
  const again = values.find((value, index) => values.indexOf(value) !== index);
  if (again !== undefined) refuse(path, again, 'named once');
  return values;
}

/** What each part allows and all of them together do not. */
function checkPossible({ guest, workloads, links, limitSeconds, systems, model }: Omit<Experiment, 'smoke'>): void {
  const kindOf = (system: string) => SYSTEMS.find((each) => each.name === system)!.kind;
  const kind = kindOf(systems[0]!);
  const odd = systems.find((system) => kindOf(system) !== kind);
  if (odd !== undefined)
    refuse('systems', odd, `one that can be compared with ${systems[0]}: it is a ${kindOf(odd)}, not a ${kind}`);
  for (const { name: workload } of workloads) {
    const own = WORKLOADS.find((each) => each.name === workload)!.kind;
    if (own !== kind) refuse('workloads', workload, `one for ${systems[0]}: it is of a ${own}, not of a ${kind}`);
  }
  for (const system of SYSTEMS.filter(({ name }) => systems.includes(name))) {
    const other = workloads.find((choice) => system.workloads?.includes(choice.name) === false);
    if (other !== undefined)
      refuse('workloads', other.name, `one that ${system.name} can do: ${system.workloads?.join(', ')}`);
  }
  for (const choice of workloads) {
    const needMib = WORKLOADS.find((each) => each.name === choice.name)!.diskMib(choice.settings);
    const leastMib = guest.contentMib + needMib + DISK_OVERHEAD_MIB + WORK_MIB;
    if (leastMib > guest.diskMib) {
      refuse('guest.disk', `${guest.diskMib} MiB`, `enough for the content and "${choice.label}": ${leastMib} MiB`);
    }
  }
  if (model !== undefined) {
    const odd = workloads.find(({ settings }) => !isPlainBoot(settings) || kind !== 'boot');
    if (odd !== undefined) refuse('model', odd.label, 'what can be modelled: boots with nothing set but hosts');
  }
  for (const { name: link, there } of links) {
    const leastSeconds = (guest.contentMib * 2 ** 20 * 8) / there.bitsPerSecond;
    if (leastSeconds > limitSeconds) {
      const needs = `at least ${Math.ceil(leastSeconds)} s for ${guest.contentMib} MiB over "${link}"`;
      refuse('limit', `${limitSeconds} s`, `enough: a move takes ${needs}`);
    }
  }
}

/** Nothing but the number of hosts is other than usual. */
function isPlainBoot(settings: WorkloadChoice['settings']): boolean {
  const usual = WORKLOADS.find(({ name: workload }) => workload === 'boot')!.settings;
  return Object.entries(usual).every(
    ([setting, { otherwise }]) => setting === 'hosts' || settings[setting] === otherwise,
  );
}
