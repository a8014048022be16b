/**
 * What a workload is: how a guest begins it, and what its steps say about how well the guest serves its user.
 *
 * A step is one unit of work that was done: a block written and fsynced, a request answered. Where it is done by a client over the
 * network, the client tells how long each took; of a guest's own steps only their times are known.
 */
import type { GuestLine } from '../hosts/guest-line.ts';
import type { RecordEvent } from '../hosts/measure-move.ts';

/** A whole number that an experiment may set. */
export interface Setting {
  readonly least: number;
  readonly most: number;
  readonly otherwise: number;
  /** @default false */
  readonly powerOfTwo?: boolean;
}

export interface WorkloadContext {
  readonly guest: GuestLine;
  readonly settings: Readonly<Record<string, number>>;
  readonly seed: number;
  readonly record: RecordEvent;
  /** A command in front, where the guest is reached over its network. */
  readonly clientPrefix: readonly string[];
}

/** What of a run's events counts as a step of a workload. */
export type StepEvent = 'wrote' | 'read' | 'ok' | 'bytes';

interface Common {
  readonly name: string;
  readonly about: string;
  readonly settings: Readonly<Record<string, Setting>>;
  /** Events that are steps; none for a guest that does nothing. */
  readonly steps: readonly StepEvent[];
  /** Programs that it needs beside those of every experiment. */
  readonly programs?: readonly string[];
  /** What steps are called in a report: `writes`. */
  readonly unit: string;
  /** As in tables; `trace` is the name of its file, where it has one. */
  label(settings: Readonly<Record<string, number>>, trace?: string): string;
  /** What it needs of the guest's disk beside its content. */
  diskMib(settings: Readonly<Record<string, number>>): number;
}

/** What a guest does while it moves. */
export interface MoveWorkload extends Common {
  readonly kind: 'move';
  /** Begins it; gives what ends the part of it that runs outside the guest. */
  begin(context: WorkloadContext): Promise<() => Promise<void>>;
}

/** Who boots, or replays a trace, and what there is before. */
interface BootWorkload extends Common {
  readonly kind: 'boot';
  /** The trace that is replayed, where an experiment names no other one; absent where none is. */
  readonly trace?: string;
}

/** What is written between two moves. */
interface RoamWorkload extends Common {
  readonly kind: 'roam';
}

export type Workload = MoveWorkload | BootWorkload | RoamWorkload;
