/**
 * What an experiment is once its file was read: systems, links, workloads, a guest, and how often all of it is run.
 *
 * Data only. read-experiment.ts makes it, plan.ts makes single runs of it.
 */

/** One direction of a link. */
export interface Direction {
  readonly bitsPerSecond: number;
  /** One way, milliseconds. */
  readonly delayMs: number;
  /** Of packets, 0 to 1. */
  readonly lossShare: number;
}

/** The line between the two hosts. */
export interface LinkChoice {
  readonly name: string;
  /** From the host that the machine leaves. */
  readonly there: Direction;
  readonly back: Direction;
}

/** A workload with its settings, all of them filled in. */
export interface WorkloadChoice {
  readonly name: string;
  /** As in tables: `rewrite 5 MB/s`. */
  readonly label: string;
  readonly settings: Readonly<Record<string, number>>;
  /** The name of its trace, of those that replay one. */
  readonly trace?: string;
}

/** The guest and its disk. */
export interface GuestChoice {
  readonly memoryMib: number;
  readonly diskMib: number;
  /** Of the disk, what holds data that no compressor gains on. */
  readonly contentMib: number;
}

/** What is modelled beside the runs: the same crowd on more hosts. */
export interface ModelChoice {
  readonly hosts: readonly number[];
  /** Of every host but the seed, both ways. */
  readonly lanBitsPerSecond: number;
}

export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly systems: readonly string[];
  readonly links: readonly LinkChoice[];
  readonly workloads: readonly WorkloadChoice[];
  readonly guest: GuestChoice;
  readonly runs: number;
  readonly seed: number;
  /** How long a run may take. */
  readonly limitSeconds: number;
  readonly model?: ModelChoice;
  /** SHA-256 of each trace that its workloads name, where they name any. */
  readonly traces?: Readonly<Record<string, string>>;
  /** A small run: results are checked, times mean nothing. */
  readonly smoke: boolean;
}
