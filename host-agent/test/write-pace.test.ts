/** Slowed writes: how fast they are answered, that nothing else waits, and that the delay ends with whoever set it. */
import { systemClock } from '@diskswarm/core/system';
import test from 'ava';
import { LEASE_MS, WritePace } from '../src/attachment/write-pace.ts';
import { exportOf, fileExport, image, MIB, scratch, serve } from './export-support/clients.ts';
import { Conversation } from './export-support/conversation.ts';
import { withHost } from './support/agent.ts';
import { TestClock } from './support/test-clock.ts';

const READ = 0;
const WRITE = 1;
const FLUSH = 3;

function world() {
  const clock = new TestClock();
  const pace = new WritePace(clock);
  const answered: number[] = [];
  let count = 0;
  const write = (payloadBytes = 4096): void => {
    const number = ++count;
    const ticket = pace.book(payloadBytes);
    if (ticket === 0) answered.push(number);
    else pace.wait(ticket, () => answered.push(number));
  };
  return { clock, pace, answered, write };
}

test('writes are answered one delay apart, in order, however many come at once', (t) => {
  const { clock, pace, answered, write } = world();
  write();
  t.deepEqual(answered, [1], 'nobody slows it');
  pace.set(20_000);
  for (let each = 0; each < 10; each++) write();
  t.is(answered.length, 1);
  clock.advance(101);
  t.deepEqual(answered, [1, 2, 3, 4, 5, 6]);
  clock.advance(100);
  t.is(answered.length, 11);
  clock.advance(1000);
  write();
  t.is(answered.length, 11, 'a guest that was idle has nothing saved up');
  clock.advance(20);
  t.is(answered.length, 12);
});

test('a large write counts for the chunks it makes', (t) => {
  const { clock, pace, answered, write } = world();
  pace.set(10_000);
  write(MIB);
  clock.advance(158);
  t.deepEqual(answered, []);
  clock.advance(2);
  t.deepEqual(answered, [1]);
  t.is(pace.writes, 16);
});

test('delays shorter than a timer are kept on the average', (t) => {
  const { clock, pace, answered, write } = world();
  pace.set(100);
  for (let ms = 0; ms < 500; ms++) {
    for (let each = 0; each < 20; each++) write();
    clock.advance(1);
  }
  t.true(Math.abs(answered.length - 5000) < 50, String(answered.length));
});

test('no answer waits longer than ten seconds', (t) => {
  const { clock, pace, answered, write } = world();
  pace.set(250_000);
  for (let each = 0; each < 256; each++) write();
  for (let second = 0; second < 10; second++) {
    pace.set(250_000);
    clock.advance(1000);
  }
  t.is(answered.length, 256);
});

test('the end of a delay answers what waits, at once', (t) => {
  const { clock, pace, answered, write } = world();
  pace.set(250_000);
  for (let each = 0; each < 5; each++) write();
  pace.end();
  t.deepEqual(answered, [1, 2, 3, 4, 5]);
  write();
  t.is(answered.length, 6);
  t.is(clock.timers, 0);
});

test('a delay that nobody sets again ends by itself', (t) => {
  const { clock, pace, answered, write } = world();
  pace.set(250_000);
  clock.advance(LEASE_MS - 1);
  t.is(pace.delayUs, 250_000);
  pace.set(250_000);
  clock.advance(LEASE_MS - 100);
  write();
  t.deepEqual(answered, []);
  clock.advance(100);
  t.is(pace.delayUs, 0);
  t.deepEqual(answered, [1]);
});

test('through a socket: writes slow down, reads and flushes do not, and the end is felt at once', async (t) => {
  const folder = scratch(t);
  const pace = new WritePace(systemClock);
  const backing = fileExport(t, image(folder, 'disk.raw', MIB));
  const { socketPath } = await serve(t, folder, { ...exportOf(backing), gate: pace });
  const client = await Conversation.open(t, socketPath, 'disk');
  const block = new Uint8Array(4096).fill(9);
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const startedUs = systemClock.nowUs();
    await work();
    return (systemClock.nowUs() - startedUs) / 1000;
  };
  const write = (offset: number) => client.request({ command: WRITE, offset, data: block });
  pace.set(40_000);
  const slow = await timed(async () => {
    for (let each = 0; each < 10; each++) t.is((await write(each * 4096)).errno, 0);
  });
  t.true(slow >= 380, `${slow} ms`);

  pace.set(250_000);
  let answered = 0;
  const writes = Array.from({ length: 32 }, (_, each) => write(each * 4096).then(() => answered++));
  const others = await timed(async () => {
    for (let each = 0; each < 20; each++) {
      t.deepEqual(new Uint8Array((await client.request({ command: READ, length: 4096 })).data), block);
      t.is((await client.request({ command: FLUSH })).errno, 0);
    }
  });
  t.true(answered < 32, `${others} ms for reads and flushes, and every write was answered before`);
  pace.end();
  const end = await timed(() => Promise.all(writes));
  t.true(end < 3000, `${end} ms until all were answered`);
});

test('a client that goes away is let go, whatever waits for it; so is a server that stops', async (t) => {
  const folder = scratch(t);
  const pace = new WritePace(systemClock);
  const backing = fileExport(t, image(folder, 'disk.raw', MIB));
  const { socketPath, server, defects } = await serve(t, folder, { ...exportOf(backing), gate: pace });
  pace.set(250_000);
  const startedUs = systemClock.nowUs();
  for (const stop of [false, true]) {
    const client = await Conversation.open(t, socketPath, 'disk');
    for (let each = 0; each < 100; each++)
      client.send({ command: WRITE, offset: each * 4096, data: new Uint8Array(4096) });
    await client.request({ command: READ, length: 512 });
    if (stop) await server.stop();
    else client.socket.destroy();
    await client.closed;
  }
  t.true(systemClock.nowUs() - startedUs < 8e6);
  t.deepEqual(defects, []);
});

test('a hold ends it, and what is held or read-only is not slowed', async (t) => {
  await withHost(41, async (host) => {
    await host.import(() => 1);
    await host.attach();
    const { attachment } = host;
    await host.write(3, 2);
    t.like(await attachment.slowWrites(2048), { dirtyBytes: 4096 });
    t.is(attachment.writeDelayUs, 2048);
    await attachment.hold({ wait: false });
    t.is(attachment.writeDelayUs, 0);
    await attachment.slowWrites(2048);
    t.is(attachment.writeDelayUs, 0);
    await attachment.resume();
    t.is(attachment.writeDelayUs, 0, 'as before the migration');
    await attachment.slowWrites(2048);
    await host.restart();
    t.is(host.attachment.writeDelayUs, 0, 'nothing of it outlives the agent');
  });
});
