/**
 * Shipped experiments, small: machines that move, and hosts that boot. Needs root.
 *
 * All of them take about ten minutes on two cores, so `npm test` runs one of each kind (bench-command.test.ts runs bradford-2007);
 * `pnpm test:experiments` runs all.
 */
import test from 'ava';
import { shippedExperiments } from '../src/run/load-experiment.ts';
import { small } from './bench-command.ts';

const names = process.env.DISKSWARM_EXPERIMENTS === 'all' ? shippedExperiments() : ['flash-crowd', 'roam'];
for (const name of names) test.serial(name, small, name);
