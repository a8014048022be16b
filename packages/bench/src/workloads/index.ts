/** All workloads, in the order in which `bench list` shows them. */
import { boot } from './boot.ts';
import { bursts, diabolical, dirtyMemory, idle, mix, rewrite } from './in-guest.ts';
import { replay } from './replay.ts';
import { deskWeek } from './roam.ts';
import { board, film, flood, web } from './served.ts';
import type { Workload } from './workload.ts';

export const WORKLOADS: readonly Workload[] = [
  idle,
  rewrite,
  diabolical,
  mix,
  web,
  board,
  bursts,
  film,
  flood,
  dirtyMemory,
  boot,
  replay,
  deskWeek,
];
