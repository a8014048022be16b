/** What may go wrong in a move, each at one instant; agents are started again by their supervisor, links heal. */
import type { SourceRunner } from '@diskswarm/host-agent';
import type { MoveHost } from './move-host.ts';
import type { MoveWorld } from './move-world.ts';

/** A move under way. */
export interface Move {
  readonly world: MoveWorld;
  readonly from: MoveHost;
  readonly to: MoveHost;
  /** Null before it has begun. */
  runner: SourceRunner | null;
  /** Asks for the same move anew; rejects where it cannot be. */
  again(): Promise<unknown>;
}

interface Fault {
  readonly endsGuest?: true;
  /** The machine moves all the same. */
  readonly harmless?: true;
  /** Strikes at a message only, which it keeps: deliver it later, or never. */
  readonly message?: (move: Move, deliver: () => void) => void;
  readonly strike?: (move: Move) => void;
}

const SHORT_MS = 1_000;
const LONG_MS = 100_000;
const LATE_MS = 3_000;

function silence({ world, from, to }: Move, ms: number): void {
  const { network } = world.simulation;
  network.partition(from.name, to.name);
  world.calmUs = Math.max(world.calmUs, world.simulation.clock.nowUs() + ms * 1000);
  world.later(ms, () => network.heal(from.name, to.name));
}

function cut({ world, from, to }: Move): void {
  world.simulation.network.breakConnections(from.name, to.name);
}

function cancel({ runner }: Move): void {
  try {
    runner?.cancel();
  } catch {
    // Too late, which it says.
  }
}

function stop(world: MoveWorld, host: MoveHost): void {
  host.stop().catch((error: unknown) => world.fail(error));
}

function killQemu(host: MoveHost): void {
  for (const qemu of host.machines()) qemu.end('killed');
}

const FAULTS = {
  'source agent': { strike: ({ from }) => from.kill('crash') },
  'destination agent': { strike: ({ to }) => to.kill('crash') },
  'both agents': {
    strike: ({ from, to }) => {
      from.kill('crash');
      to.kill('crash');
    },
  },
  'source stops': { strike: ({ world, from }) => stop(world, from) },
  'destination stops': { strike: ({ world, to }) => stop(world, to) },
  'source qemu': { endsGuest: true, strike: ({ from }) => killQemu(from) },
  'destination qemu': { endsGuest: true, strike: ({ to }) => killQemu(to) },
  'source power': { endsGuest: true, strike: ({ from }) => from.kill('power cut') },
  'destination power': { endsGuest: true, strike: ({ to }) => to.kill('power cut') },
  cut: { strike: cut },
  silence: { strike: (move) => silence(move, SHORT_MS) },
  'long silence': { strike: (move) => silence(move, LONG_MS) },
  cancel: { strike: cancel },
  'cancel and again': {
    strike: (move) => {
      cancel(move);
      void move.again().catch(() => {}); // Refused, which it says.
    },
  },
  'guest off': { endsGuest: true, strike: ({ world }) => world.runs?.powerOff() },
  tracker: {
    strike: (move) => {
      move.world.trackerGone = true;
      cut(move);
    },
  },
  'straight way': { harmless: true, strike: ({ world }) => world.openStraightWay() },
  lose: { message: (move) => cut(move) },
  delay: { message: ({ world }, deliver) => world.later(LATE_MS, deliver) },
} satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** It strikes at messages only. */
export function isOfMessages(fault: FaultName): boolean {
  return 'message' in FAULTS[fault];
}

/** A guest that ran before need not run after it. */
export function endsGuest(fault: FaultName): boolean {
  return 'endsGuest' in FAULTS[fault];
}

/** The machine moves all the same. */
export function isHarmless(fault: FaultName): boolean {
  return 'harmless' in FAULTS[fault];
}

/** One fault at one step of a move. */
export interface Strike {
  readonly fault: FaultName;
  /** What has just happened, as the trace calls it, and for which time since the wish to move. */
  readonly step: string;
  readonly time: number;
  /** After that step, in simulated milliseconds. */
  readonly afterMs: number;
}

/** What a move went through, and which strikes had their turn. */
export interface Course {
  readonly steps: string[];
  readonly struck: Set<Strike>;
}

/** Has the strikes happen at their steps. */
export function arm(move: Move, strikes: readonly Strike[]): Course {
  const { world } = move;
  const course: Course = { steps: [], struck: new Set() };
  let late: (() => void)[] | null = null;
  const due = (step: string): readonly Strike[] => {
    const time = course.steps.filter((before) => before === step).length + 1;
    return strikes.filter((strike) => strike.step === step && strike.time === time);
  };
  const note = (strike: Strike): void => {
    course.struck.add(strike);
    world.note(`fault: ${strike.fault}`);
  };
  world.onStep = (step) => {
    for (const each of due(step)) {
      const { strike } = FAULTS[each.fault] as Fault;
      if (strike === undefined) continue;
      world.later(each.afterMs, () => {
        note(each);
        strike(move);
      });
    }
    course.steps.push(step);
  };
  world.onMessage = (step, deliver) => {
    if (late !== null) {
      late.push(deliver); // One after the other, as in a connection.
      return true;
    }
    const each = due(step).find(({ fault }) => isOfMessages(fault));
    if (each === undefined) return false;
    note(each);
    if (each.fault === 'delay') late = [];
    (FAULTS[each.fault] as Fault).message!(move, () => {
      const waited = late ?? [];
      late = null;
      deliver();
      for (const every of waited) every();
    });
    return true;
  };
  return course;
}
