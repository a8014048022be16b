/**
 * What is compared: something that brings a machine with its disk from one host to another, running or to be booted there.
 *
 * A system is given a line, a guest and a place for its files, and records what happens; what it started in the line's
 * namespaces or by programs.ts ends with the run.
 */
import type { GuestArtefacts } from '@diskswarm/guest';
import type { Experiment } from '../experiment/experiment.ts';
import type { PlannedRun } from '../experiment/plan.ts';
import type { RecordEvent } from '../hosts/measure-move.ts';
import type { Line } from '../link/link.ts';

/** A run that needs no guest. */
export interface RoamContext {
  readonly experiment: Experiment;
  readonly run: PlannedRun;
  readonly folder: string;
  readonly line: Line;
  readonly record: RecordEvent;
  readonly log: (message: string) => void;
}

export interface RunContext extends RoamContext {
  /** The file of the trace that is replayed; null where none is. */
  readonly trace: string | null;
  readonly artefacts: GuestArtefacts;
}

interface Common {
  readonly name: string;
  /** One line for `bench list` and for reports: how it works, and when it counts as done. */
  readonly about: string;
  /** Programs that it needs beside those of every experiment. */
  readonly programs: readonly string[];
  /** Names of the workloads that it can do, where it cannot do all of its kind. */
  readonly workloads?: readonly string[];
  /** It cannot be measured under the conditions of others: its name has a mark in reports, which say how to compare it. */
  readonly apart?: true;
  /** What others are held against: it moves no disk, or sends nothing. It is never the best. */
  readonly reference?: true;
  /** It brings what a guest touches and never the rest: its time in total and its bytes are no match for those who bring all. */
  readonly partial?: true;
  /** Gets what it needs beside programs, once and before the first run; cached. */
  obtain?(log: (text: string) => void): Promise<void>;
}

/**
 * `move`: a running machine; `boot`: its disk, for hosts that use it at once. Systems and workloads of one experiment are of one
 * kind.
 */
export interface GuestSystem extends Common {
  readonly kind: 'move' | 'boot';
  /** Does it and records `moved` or `booted` last. */
  run(context: RunContext): Promise<void>;
}

/** `roam`: a disk that goes back and forth for days, without a guest. */
export interface RoamSystem extends Common {
  readonly kind: 'roam';
  /** Does it and records `roamed` last. */
  run(context: RoamContext): Promise<void>;
}

export type System = GuestSystem | RoamSystem;
