/**
 * What is read back from a folder of runs, checked before anything is made of it: folders travel, and a report of half a file would
 * look like a report.
 *
 * Says which file is damaged and how to go on. Fields that are not known stay: later versions may add some.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { PlannedRun } from '../experiment/plan.ts';
import { ENDS } from './result.ts';
import type { RunEvent, RunManifest } from './run-folder.ts';

type Mapping = Readonly<Record<string, unknown>>;

/** A JSON object. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A list of such items, and not an empty one. */
export function isList(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isItem);
}

/** A string. */
export const isText = (value: unknown): boolean => typeof value === 'string';
/** A number from 0. */
export const isAmount = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;

function isWay(value: unknown): boolean {
  return isMapping(value) && [value.bitsPerSecond, value.delayMs, value.lossShare].every(isAmount);
}

function isExperiment(value: unknown): boolean {
  if (!isMapping(value)) return false;
  const { name, title, about, systems, links, workloads, guest, runs, seed, limitSeconds, smoke } = value;
  return (
    [name, title, about].every(isText) &&
    isList(systems, isText) &&
    isList(links, (link) => isMapping(link) && isText(link.name) && isWay(link.there) && isWay(link.back)) &&
    isList(
      workloads,
      (each) => isMapping(each) && isText(each.name) && isText(each.label) && isMapping(each.settings),
    ) &&
    isMapping(guest) &&
    [guest.memoryMib, guest.diskMib, guest.contentMib, runs, seed, limitSeconds].every(isAmount) &&
    typeof smoke === 'boolean'
  );
}

function isPlace({ machine, versions }: Mapping): boolean {
  return isText(machine) && isMapping(versions) && Object.values(versions).every(isText);
}

/** A manifest as it is kept. @throws DiskswarmError FORMAT_INVALID */
export function checkManifest(value: unknown, path: string): RunManifest {
  const whole =
    isMapping(value) &&
    isExperiment(value.experiment) &&
    isText(value.startedAt) &&
    isPlace(value) &&
    (value.resumed === undefined ||
      isList(value.resumed, (one) => isMapping(one) && isAmount(one.firstRun) && isPlace(one)));
  if (!whole) throw new DiskswarmError('FORMAT_INVALID', `${path} is damaged: it does not describe an experiment`);
  return value as unknown as RunManifest;
}

/** The events in the text of a run's file, which is to be of `planned`. @throws DiskswarmError FORMAT_INVALID */
export function checkRun(text: string, planned: PlannedRun | undefined, path: string): readonly RunEvent[] {
  if (planned === undefined) throw damaged(path, 'the experiment has no such run, or another file has it');
  const events = text
    .split('\n')
    .filter(Boolean)
    .map((line, index) => eventOf(line, index + 1, path));
  const [begin] = events;
  const { number, system, link, workload, round } = planned;
  const same =
    begin?.event === 'begin' &&
    begin.number === number &&
    begin.system === system &&
    begin.link === link.name &&
    begin.workload === workload.label &&
    begin.round === round;
  if (!same) throw damaged(path, `it is not of run ${number} of this experiment`);
  if (!events.some(({ event }) => event === 'broken' || ENDS.has(event))) throw damaged(path, 'it ends in the middle');
  return events;
}

function eventOf(line: string, number: number, path: string): RunEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    // Told below.
  }
  if (!isMapping(event) || !isText(event.event) || !Number.isFinite(event.atMs))
    throw damaged(path, `line ${number} is no event`);
  return event as unknown as RunEvent;
}

function damaged(path: string, how: string): DiskswarmError {
  return new DiskswarmError(
    'FORMAT_INVALID',
    `${path} is damaged: ${how}. Delete it, and "bench run … --resume" does that run again`,
  );
}
