/** A few runs of the fault matrix (test/faults), always the same ones; `pnpm test:faults` has them all. */
import test from 'ava';
import { choose, MATRIX, nameOf, runCase } from '../faults/matrix.ts';
import { Scope } from '../faults/scope.ts';
import { makeTemplate, type Template } from '../faults/world.ts';

const SEED = 'ci';
const RUNS = 3;

const scope = new Scope();
let template: Template;

test.before(async () => {
  template = await makeTemplate(scope);
});

test.after.always(() => scope.close());

for (const kind of choose(MATRIX, SEED, RUNS)) {
  test.serial(`one machine is left, with all that was durable: ${nameOf(kind)}`, async (t) => {
    const result = await runCase(kind, template, SEED);
    t.log(`${result.end}, ${result.landing.how}`);
    for (const line of result.log) t.log(line);
    t.deepEqual(result.wrong, []);
    t.true(result.landing.landed, result.landing.how);
    t.true(result.markers > 0);
  });
}
