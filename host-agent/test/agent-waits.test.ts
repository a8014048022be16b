/** Waiting for a condition, and giving work up at a time limit. */

import { DiskswarmError } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import test from 'ava';
import { ChangeSignal } from '../src/agent/change-signal.ts';
import { within } from '../src/agent/time-limit.ts';
import { Turns } from '../src/agent/turns.ts';

const never = new AbortController().signal;

test('a wait ends at the change that makes its condition true', async (t) => {
  const changed = new ChangeSignal();
  let value = 0;
  const waited = changed.until(() => value === 2, { signal: never });
  value = 1;
  changed.fire();
  value = 2;
  changed.fire();
  await t.notThrowsAsync(waited);
});

test('a change while the condition is looked at is not missed', async (t) => {
  const changed = new ChangeSignal();
  let holds = false;
  await changed.until(
    async () => {
      const answer = holds;
      holds = true;
      changed.fire();
      return answer;
    },
    { signal: never },
  );
  t.true(holds);
});

test('a wait that is given up rejects with ABORTED', async (t) => {
  const controller = new AbortController();
  const waited = new ChangeSignal().until(() => false, { signal: controller.signal });
  controller.abort();
  t.is((await t.throwsAsync(waited, { instanceOf: DiskswarmError }))?.code, 'ABORTED');
});

test('work that is late is told so, and its signal fires', async (t) => {
  let told = false;
  const late = within({ clock: systemClock, limitMs: 1, signal: never, what: 'the answer' }, (signal) => {
    signal.addEventListener('abort', () => {
      told = true;
    });
    return new Promise<never>(() => {});
  });
  const error = await t.throwsAsync(late, { instanceOf: DiskswarmError });
  t.is(error?.code, 'TIMEOUT');
  t.regex(error?.message ?? '', /the answer/);
  t.true(told);
});

test('work that is in time keeps its result and its error', async (t) => {
  const limit = { clock: systemClock, limitMs: 60_000, signal: never, what: 'work' };
  t.is(await within(limit, async () => 7), 7);
  await t.throwsAsync(
    within(limit, async () => Promise.reject(new RangeError('mine'))),
    { instanceOf: RangeError },
  );
});

test('turns are taken one after the other, also after a failure', async (t) => {
  const turns = new Turns();
  const order: string[] = [];
  const first = turns.run(async () => {
    order.push('first begins');
    await Promise.resolve();
    order.push('first ends');
    throw new Error('first failed');
  });
  const second = turns.run(async () => {
    order.push('second');
  });
  await t.throwsAsync(first, { message: 'first failed' });
  await second;
  t.deepEqual(order, ['first begins', 'first ends', 'second']);
});
