/** All rows, in the order of the table of figures. */
import type { Row } from '../row.ts';
import { boot } from './boot.ts';
import { chunkMemory } from './chunk-memory.ts';
import { clone } from './clone.ts';
import { fleet } from './fleet.ts';
import { hash } from './hash.ts';
import { importRow } from './import.ts';
import { linkFaults } from './link-faults.ts';
import { manifest } from './manifest.ts';
import { memory } from './memory.ts';
import { moveAgain } from './move-again.ts';
import { moveGap } from './move-gap.ts';
import { moveIdle } from './move-idle.ts';
import { moveMemory } from './move-memory.ts';
import { moveNear } from './move-near.ts';
import { moveReads } from './move-reads.ts';
import { moveWriting } from './move-writing.ts';
import { nat } from './nat.ts';
import { nbdOneCore } from './nbd-one-core.ts';
import { nbdRandom } from './nbd-random.ts';
import { nbdSequential } from './nbd-sequential.ts';
import { pullLatency } from './pull-latency.ts';
import { returnRow } from './return.ts';
import { seal } from './seal.ts';
import { store } from './store.ts';
import { torrent } from './torrent.ts';
import { tracker } from './tracker.ts';
import { wire } from './wire.ts';

export const ROWS: readonly Row[] = [
  nbdRandom,
  nbdOneCore,
  nbdSequential,
  pullLatency,
  hash,
  store,
  importRow,
  seal,
  manifest,
  wire,
  memory,
  chunkMemory,
  linkFaults,
  returnRow,
  boot,
  moveIdle,
  moveWriting,
  moveAgain,
  moveNear,
  moveGap,
  moveMemory,
  moveReads,
  clone,
  fleet,
  tracker,
  nat,
  torrent,
];
