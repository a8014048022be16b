/** Hand-overs between three hosts at random, from a seed, with crashes and lost messages. */
import test from 'ava';
import fc from 'fast-check';
import { handoverResult } from '../src/index.ts';
import { type Action, newWorld, settle, step, violation, type World } from './model.ts';

const HOSTS = 3;
const host = fc.nat(HOSTS - 1);
const pair = fc
  .tuple(host, fc.integer({ min: 1, max: HOSTS - 1 }))
  .map(([from, by]) => ({ host: from, to: (from + by) % HOSTS }));

/** Steps as data; which message a delivery means is decided when its turn comes. */
const move = fc.oneof(
  { weight: 3, arbitrary: pair.map((two): Action => ({ kind: 'start', ...two })) },
  { weight: 2, arbitrary: pair.map(({ host, to }): Action => ({ kind: 'ask', host, of: to })) },
  { weight: 1, arbitrary: host.map((at): Action => ({ kind: 'abort', host: at })) },
  {
    weight: 20,
    arbitrary: fc
      .tuple(host, fc.constantFrom('accept' as const, 'accept' as const, 'refuse' as const))
      .map(([at, answer]): Action => ({ kind: 'run', host: at, answer })),
  },
  { weight: 12, arbitrary: fc.nat(1000).map((pick) => ({ kind: 'deliver' as const, pick })) },
  { weight: 2, arbitrary: host.map((at): Action => ({ kind: 'crash', host: at })) },
  { weight: 2, arbitrary: pair.map((two): Action => ({ kind: 'connect', ...two })) },
  { weight: 3, arbitrary: pair.map((two): Action => ({ kind: 'gossip', ...two })) },
);

/** The newest messages are the interesting ones; an old one comes now and then. */
function pickMessage(world: World, pick: number): Action | null {
  const messages = [...world.net.keys()];
  const at =
    pick % 4 === 0
      ? pick % Math.max(messages.length, 1)
      : messages.length - 1 - (pick % Math.min(messages.length || 1, 3));
  const message = messages[at];
  return message === undefined ? null : { kind: 'deliver', message };
}

test('three hosts hand a disk round: never two owners, never none, and in the end exactly one writes', (t) => {
  let moved = 0;
  fc.assert(
    fc.property(fc.array(move, { minLength: 20, maxLength: 120 }), (moves) => {
      let world = newWorld(HOSTS);
      for (const entry of moves) {
        const action = 'pick' in entry ? pickMessage(world, entry.pick) : entry;
        if (action) world = step(world, action);
        const wrong = violation(world);
        if (wrong) throw new Error(wrong);
      }
      const end = settle(world);
      if (violation(end)) throw new Error(`after the end: ${violation(end)}`);
      const writers = end.hosts.filter(({ attachment }) => attachment === 'writable').length;
      if (writers !== 1) throw new Error(`${writers} hosts write in the end`);
      if (end.hosts.some(({ source }) => handoverResult(source) === 'in-doubt'))
        throw new Error('a hand-over is still in doubt');
      moved += end.hosts[0]!.chain.current.epoch - 1;
    }),
    { numRuns: 150 },
  );
  t.true(moved > 50, `the disk moved ${moved} times`);
});
