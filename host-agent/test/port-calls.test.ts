/** Calls between threads over a real MessagePort: results, errors with their code, cancellation, and an end that leaves nobody waiting. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import { type Handlers, PortCalls } from '../src/attachment/port-calls.ts';

type Empty = Record<never, never> & Handlers;
type Answers = {
  double: (value: number) => number;
  later: (value: string) => Promise<string>;
  fail: (code: 'DISK_FULL' | 'none') => never;
  wait: (name: string, options: { signal: AbortSignal }) => Promise<string>;
  note: (text: string) => void;
};

function pair(t: ExecutionContext) {
  const { port1, port2 }: { port1: MessagePort; port2: MessagePort } = new MessageChannel();
  const noted: string[] = [];
  const heard = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<unknown>();
  const answers: Answers = {
    double: (value) => value * 2,
    later: async (value) => `${value} later`,
    fail: (code) => {
      throw code === 'none'
        ? new TypeError('a defect')
        : new DiskswarmError(code, 'no room', { data: { freeBytes: 3 } });
    },
    wait: (name, { signal }) =>
      new Promise((_, reject) => {
        begun.resolve();
        signal.addEventListener('abort', () => {
          stopped.resolve(name);
          reject(new DiskswarmError('ABORTED', 'stopped'));
        });
      }),
    note: (text) => {
      noted.push(text);
      heard.resolve();
    },
  };
  const here = new PortCalls<Answers>(port1, {});
  const there = new PortCalls<Empty>(port2, answers as unknown as Handlers);
  t.teardown(() => port1.close());
  return { here, there, port1, port2, noted, heard: heard.promise, begun: begun.promise, stopped: stopped.promise };
}

test('calls are answered, each with its own result, in whatever order', async (t) => {
  const { here } = pair(t);
  t.deepEqual(await Promise.all([here.call('later', 'one'), here.call('double', 21), here.call('later', 'two')]), [
    'one later',
    42,
    'two later',
  ]);
});

test('an error keeps its code, message and data; a defect becomes INTERNAL with its origin', async (t) => {
  const { here } = pair(t);
  const full = await t.throwsAsync(here.call('fail', 'DISK_FULL'), { instanceOf: DiskswarmError });
  t.deepEqual([full.code, full.message, full.data], ['DISK_FULL', 'no room', { freeBytes: 3 }]);
  const defect = await t.throwsAsync(here.call('fail', 'none'), { instanceOf: DiskswarmError });
  t.is(defect.code, 'INTERNAL');
  t.regex(defect.message, /a defect[\s\S]*port-calls\.test/);
  t.is(await here.call('double', 1), 2);
});

test('who gives up is answered at once, and the work on the other side is stopped', async (t) => {
  const { here, begun, stopped } = pair(t);
  const abort = new AbortController();
  const call = here.call('wait', 'a fault', { signal: abort.signal });
  await begun;
  abort.abort();
  t.is((await t.throwsAsync(call, { instanceOf: DiskswarmError })).code, 'ABORTED');
  t.is(await stopped, 'a fault');
  t.is(
    (await t.throwsAsync(here.call('double', 1, { signal: abort.signal }), { instanceOf: DiskswarmError })).code,
    'ABORTED',
  );
  t.is(await here.call('double', 4), 8);
});

test('what is told needs no answer and keeps its order with calls', async (t) => {
  const { here, noted, heard } = pair(t);
  here.tell('note', 'first');
  here.tell('note', 'second');
  await heard;
  t.is(await here.call('double', 2), 4);
  t.deepEqual(noted, ['first', 'second']);
});

test('when the port closes nobody goes on waiting, on either side, and later calls are refused', async (t) => {
  const { here, port2, begun, stopped } = pair(t);
  const call = here.call('wait', 'the end');
  await begun;
  port2.close();
  t.is((await t.throwsAsync(call, { instanceOf: DiskswarmError })).code, 'ABORTED');
  t.is(await stopped, 'the end');
  t.is((await t.throwsAsync(here.call('double', 1), { instanceOf: DiskswarmError })).code, 'ABORTED');
  here.tell('note', 'nobody hears this');
  here.close();
});
