/** Every order of events of a hand-over, walked to the end. */
import test from 'ava';
import { type Action, keyOf, newWorld, settle, step, violation, type World } from './model.ts';

interface Budget {
  readonly starts: number;
  readonly aborts: number;
  readonly crashes: number;
}

/** Every step that two hosts may take next, and what is left of the budget after it. */
function choices(world: World, budget: Budget): [Action, Budget][] {
  const found: [Action, Budget][] = [];
  for (const [host, { queue, source }] of world.hosts.entries()) {
    const to = 1 - host;
    if (budget.starts > 0 && source.phase === 'idle')
      found.push([
        { kind: 'start', host, to },
        { ...budget, starts: budget.starts - 1 },
      ]);
    if (budget.aborts > 0 && source.phase !== 'idle')
      found.push([
        { kind: 'abort', host },
        { ...budget, aborts: budget.aborts - 1 },
      ]);
    if (budget.crashes > 0)
      found.push([
        { kind: 'crash', host },
        { ...budget, crashes: budget.crashes - 1 },
      ]);
    if (queue[0]) found.push([{ kind: 'run', host, answer: 'accept' }, budget]);
    if (queue[0]?.kind === 'examine') found.push([{ kind: 'run', host, answer: 'refuse' }, budget]);
    if (source.phase === 'relinquished' && queue.length === 0) found.push([{ kind: 'connect', host, to }, budget]);
    found.push([{ kind: 'gossip', host, to }, budget]);
  }
  for (const message of world.net.keys()) found.push([{ kind: 'deliver', message }, budget]);
  return found;
}

/** Walks every order of steps within the budget; gives the number of worlds, or the path to the first that is wrong. */
function walk(budget: Budget, limit: number): number | string {
  const seen = new Set<string>();
  const open: { world: World; budget: Budget; path: string }[] = [{ world: newWorld(2), budget, path: '' }];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const [action, rest] of choices(next.world, next.budget)) {
      const world = step(next.world, action);
      const key = keyOf(world) + JSON.stringify(rest);
      if (seen.has(key)) continue;
      seen.add(key);
      if (seen.size > limit) return `more than ${limit} worlds`;
      const path = `${next.path}\n${JSON.stringify(action)}`;
      const wrong = violation(world);
      if (wrong) return `${wrong} after:${path}`;
      open.push({ world, budget: rest, path });
    }
  }
  return seen.size;
}

test('one hand-over: every order of loss, repetition and reordering, three crashes at any step', (t) => {
  const worlds = walk({ starts: 1, aborts: 1, crashes: 3 }, 20_000);
  t.is(typeof worlds, 'number', String(worlds));
  t.true(Number(worlds) > 1000, 'the walk goes somewhere');
});

test('there and back: every order of loss, repetition and reordering, a crash at any step', (t) => {
  const worlds = walk({ starts: 2, aborts: 0, crashes: 1 }, 20_000);
  t.is(typeof worlds, 'number', String(worlds));
  t.true(Number(worlds) > 2000, 'the walk goes somewhere');
});

test('undisturbed, the disk moves there and back', (t) => {
  const there = settle(step(newWorld(2), { kind: 'start', host: 0, to: 1 }));
  t.deepEqual(
    there.hosts.map(({ attachment }) => attachment),
    ['fenced', 'writable'],
  );
  const back = settle(step(there, { kind: 'start', host: 1, to: 0 }));
  t.deepEqual(
    back.hosts.map(({ attachment }) => attachment),
    ['writable', 'fenced'],
  );
  t.is(back.hosts[0]?.chain.current.epoch, 3);
});
