/**
 * Every shipped experiment, small: machines that move, and hosts that boot. Needs root.
 *
 * Two at a time, each in a process of its own: most of their time they wait for a guest or a line.
 */
import test from 'ava';
import { shippedExperiments } from '../src/run/load-experiment.ts';
import { checkSmall } from './bench-command.ts';

const lanes: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];

// bench-command.test.ts runs bradford-2007, and interrupts it on the way.
for (const [index, name] of shippedExperiments()
  .filter((name) => name !== 'bradford-2007')
  .entries()) {
  test(name, async (t) => {
    const lane = index % 2 === 0 ? 0 : 1;
    const run = lanes[lane].then(() => checkSmall(t, name));
    lanes[lane] = run.catch(() => {});
    await run;
  });
}
