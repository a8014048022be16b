/** All rows, in the order of the table of figures. */
import type { Row } from '../row.ts';
import { importRow } from './import.ts';
import { nbdOneCore } from './nbd-one-core.ts';
import { nbdRandom } from './nbd-random.ts';
import { nbdSequential } from './nbd-sequential.ts';
import { wire } from './wire.ts';

export const ROWS: readonly Row[] = [nbdRandom, nbdOneCore, nbdSequential, importRow, wire];
