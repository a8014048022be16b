/**
 * Which cases there are: every fault at every step of a move, in every mode, of a machine with one and with two disks; and pairs of faults, as a seed has them.
 *
 * A case has a name, from which it can be repeated. Loads none of the code under test.
 */
import type { DiskMode } from '@diskswarm/migration';
import { SeededRandom } from '@diskswarm/sim';
import { FAULT_NAMES, isOfMessages, type Strike } from './faults.ts';
import type { MoveCase } from './one-move.ts';

const MODES: readonly DiskMode[] = ['precopy', 'hybrid', 'postcopy'];
/** Of a step that comes often, these times are all there is to see. */
const TIMES = 2;
/** A second fault comes at a step of its own, or so long after the first. */
const LONGEST_AFTER_MS = 2_000;

/** A move in which nothing goes wrong: its steps are those of the others. */
export function plainCases(): MoveCase[] {
  return MODES.flatMap((mode) => [1, 2].map((disks) => ({ seed: '1', mode, disks, strikes: [] })));
}

/** Every fault at every step of a plain move. */
export function singleCases(plain: MoveCase, steps: readonly string[]): MoveCase[] {
  return strikesOf(steps).map((strike) => ({ ...plain, strikes: [strike] }));
}

/** Two faults, the second at another step or some time after the first, on a disk and network of the seed's own. */
export function pairCase(seed: string, stepsOf: (mode: DiskMode, disks: number) => readonly string[]): MoveCase {
  const random = new SeededRandom(`pair ${seed}`);
  const mode = random.pick(MODES);
  const disks = random.between(1, 2);
  const strikes = strikesOf(stepsOf(mode, disks));
  const first = { ...random.pick(strikes), afterMs: random.below(20) };
  const second = random.pick(strikes);
  const close = { ...first, fault: second.fault, afterMs: random.below(random.pick([5, 50, 500, LONGEST_AFTER_MS])) };
  const apart = isOfMessages(second.fault) || random.chance(0.5);
  return { seed, mode, disks, strikes: [first, apart ? { ...second, afterMs: random.below(20) } : close] };
}

function strikesOf(steps: readonly string[]): Strike[] {
  const strikes: Strike[] = [];
  for (const step of new Set(steps)) {
    const times = Math.min(TIMES, steps.filter((each) => each === step).length);
    for (let time = 1; time <= times; time++)
      for (const fault of FAULT_NAMES)
        if (!isOfMessages(fault) || isMessage(step)) strikes.push({ fault, step, time, afterMs: 0 });
  }
  return strikes;
}

function isMessage(step: string): boolean {
  return /^\w+ hears /.test(step);
}

/** Repeats a case: `hybrid, 2 disks, seed 1: cut 0 ms after 1. home hears confirmed`. */
export function nameOf({ seed, mode, disks, strikes }: MoveCase): string {
  const all = strikes.map(({ fault, step, time, afterMs }) => `${fault} ${afterMs} ms after ${time}. ${step}`);
  return `${mode}, ${disks} disks, seed ${seed}: ${all.join('; ') || 'nothing'}`;
}

/** The case of a name; throws RangeError. */
export function caseOf(name: string): MoveCase {
  const head = /^(precopy|hybrid|postcopy), ([12]) disks, seed (\S+): (.*)$/.exec(name);
  if (head === null) throw new RangeError(`no case is called "${name}"`);
  const texts = head[4] === 'nothing' ? [] : head[4]!.split('; ');
  const strikes = texts.map((text): Strike => {
    const parts = /^(.*) (\d+) ms after (\d+)\. (.*)$/.exec(text);
    const fault = FAULT_NAMES.find((known) => known === parts?.[1]);
    if (fault === undefined) throw new RangeError(`no strike is called "${text}"`);
    return { fault, afterMs: Number(parts![2]), time: Number(parts![3]), step: parts![4]! };
  });
  return { mode: head[1] as DiskMode, disks: Number(head[2]), seed: head[3]!, strikes };
}
