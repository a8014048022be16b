/** A few runs of the fault matrix (test/faults), always the same ones; `pnpm test:faults` has them all. */
import test from 'ava';
import { choose, MATRIX, nameOf, type Result, runCase } from '../faults/matrix.ts';
import { Scope } from '../faults/scope.ts';
import { makeTemplate, type Template } from '../faults/world.ts';

const SEED = 'ci';
const RUNS = 3;
/** On a busy computer a move may be past a phase before it is hit. */
const MAX_TRIES = 4;

const scope = new Scope();
let template: Template;

test.before(async () => {
  template = await makeTemplate(scope);
});

test.after.always(() => scope.close());

for (const kind of choose(MATRIX, SEED, RUNS)) {
  test.serial(`one machine is left, with all that was durable: ${nameOf(kind)}`, async (t) => {
    let result: Result;
    let tries = 0;
    do {
      result = await runCase(kind, template, `${SEED}/${tries}`);
      t.log(`${result.end}, ${result.landing.how}`);
      for (const line of result.log) t.log(line);
      t.deepEqual(result.wrong, []);
    } while (!result.landing.landed && ++tries < MAX_TRIES);
    t.true(result.landing.landed, result.landing.how);
    t.true(result.markers > 0);
  });
}
