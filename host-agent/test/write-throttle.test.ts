/** A guest that outruns its link is slowed for as long as the migration wants it, and not a moment longer. */
import type { MigrationMessage, ThrottlePolicy } from '@diskswarm/migration';
import test from 'ava';
import type { Attachment } from '../src/attachment/attachment.ts';
import { WriteThrottle } from '../src/migration/write-throttle.ts';
import { TestClock } from './support/test-clock.ts';

const MB = 1e6;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An export whose guest writes all the time, as far as it is let. */
class Guest {
  readonly delays: number[] = [];
  writes = 0;
  dirtyBytes = 0;
  gone = false;

  async slowWrites(delayUs: number): Promise<{ writes: number; dirtyBytes: number }> {
    if (this.gone) throw new Error('the thread ended');
    this.delays.push(delayUs);
    return { writes: this.writes, dirtyBytes: this.dirtyBytes };
  }

  write(count: number): void {
    this.writes += count;
    this.dirtyBytes += count * 4096;
  }

  get delayUs(): number {
    return this.delays.at(-1) ?? 0;
  }
}

function world(policy: ThrottlePolicy = 'bradford') {
  const clock = new TestClock();
  const guest = new Guest();
  const guests: Guest[] = [guest];
  let slowed = 0;
  const whole: (number | null)[] = [];
  const throttle = new WriteThrottle({
    clock,
    policy,
    attachments: () => guests as unknown as readonly Attachment[],
    onSlowed: () => slowed++,
    onWhole: (growth) => whole.push(growth),
  });
  const missing = (round: number, missingBytes: number): void =>
    throttle.heard({ kind: 'progress', migration: '', round, known: true, missingBytes } satisfies MigrationMessage);
  const pass = async (seconds: number, each: () => void): Promise<void> => {
    for (let quarter = 0; quarter < seconds * 4; quarter++) {
      each();
      clock.advance(250);
      await settle();
    }
  };
  const seal = async (round: number): Promise<void> => {
    await throttle.sealing();
    guest.dirtyBytes = 0;
    throttle.sealed(round);
  };
  /** Two rounds of 40 MB in 10 s each, and 5,000 writes a second: 20 MB. */
  const outrun = async (): Promise<void> => {
    for (const round of [1, 2]) {
      await seal(round);
      missing(round, 40 * MB);
      await pass(10, () => guest.write(1250));
      missing(round, 0);
    }
  };
  return { clock, guest, guests, throttle, missing, pass, seal, outrun, slowed: () => slowed, whole };
}

test('begins when a round is outrun, renews the delay, and says so', async (t) => {
  const { guest, throttle, seal, missing, pass, slowed } = world();
  await seal(1);
  missing(1, 40 * MB);
  await pass(10, () => guest.write(1250));
  missing(1, 0);
  t.is(guest.delayUs, 0, 'the first round is the disk');
  await seal(2);
  missing(2, 40 * MB);
  await pass(4, () => guest.write(1250));
  t.is(guest.delayUs, 0);
  t.is(throttle.record.startedMs, null);
  await pass(6, () => guest.write(1250));
  missing(2, 0);
  await settle();
  t.is(guest.delayUs, 2048);
  t.is(slowed(), 1);
  t.like(throttle.record, { policy: 'bradford', startedMs: 20_000, delayUs: 2048, maxDelayUs: 2048 });
  const told = guest.delays.length;
  await pass(2, () => guest.write(10));
  t.true(guest.delays.length >= told + 8, 'a lease has to be renewed');
  t.deepEqual([...new Set(guest.delays.slice(told))], [2048]);
});

test('each round that is whole tells once how much of it the next one is', async (t) => {
  const { guest, seal, missing, pass, whole } = world();
  await seal(1);
  missing(1, 40 * MB);
  await pass(10, () => guest.write(100));
  missing(1, 0);
  for (const writes of [40, 0]) {
    const bytes = guest.dirtyBytes;
    await seal(whole.length + 1);
    missing(whole.length + 1, bytes);
    // All that it writes, it writes in the first quarter of a second.
    guest.write(writes * 100);
    await pass(10, () => {});
    missing(whole.length + 1, 0);
    missing(whole.length, 0);
  }
  t.deepEqual(whole, [null, 1, 0]);
});

test('a guest that the link outruns is never slowed', async (t) => {
  for (const policy of ['bradford', 'adaptive'] as const) {
    const { guest, throttle, seal, missing, pass } = world(policy);
    for (const round of [1, 2, 3, 4]) {
      const bytes = round === 1 ? 160 * MB : guest.dirtyBytes;
      await seal(round);
      missing(round, bytes);
      await pass(bytes / (16 * MB), () => guest.write(500));
      missing(round, 0);
    }
    t.deepEqual([...new Set(guest.delays)], [0]);
    t.deepEqual(throttle.record.levels, []);
  }
});

test('the guest stands still: nothing is delayed; it goes on: as before', async (t) => {
  const { guest, throttle, outrun, pass } = world();
  await outrun();
  throttle.setStill(true);
  t.is(guest.delayUs, 0);
  await pass(1, () => {});
  t.is(guest.delayUs, 0);
  throttle.setStill(false);
  await pass(1, () => {});
  t.is(guest.delayUs, 2048);
});

test('the end is told once, and nothing is looked at any more', async (t) => {
  const { clock, guest, throttle, outrun, pass, missing, seal } = world();
  await outrun();
  throttle.end();
  throttle.end();
  t.is(guest.delayUs, 0);
  t.is(clock.timers, 0);
  const told = guest.delays.length;
  await seal(3);
  missing(3, 9e9);
  await pass(10, () => guest.write(100_000));
  t.is(guest.delays.length, told);
  t.like(throttle.record, { delayUs: 0, maxDelayUs: 2048 });
  t.deepEqual(
    throttle.record.levels.map(({ delayUs }) => delayUs),
    [2048, 0],
  );
});

test('the end while a look is under way leaves no delay behind', async (t) => {
  const { clock, guest, throttle, outrun } = world();
  await outrun();
  clock.advance(250);
  throttle.end();
  await settle();
  t.is(guest.delayUs, 0);
  t.is(clock.timers, 0);
});

test('off: nobody is asked', async (t) => {
  const { clock, guest, throttle, outrun } = world('off');
  await outrun();
  t.deepEqual(guest.delays, []);
  t.is(clock.timers, 0);
  t.like(throttle.record, { policy: 'off', startedMs: null });
});

test('an export that ends and is opened again is slowed like the one before, and its counts begin anew', async (t) => {
  const { guest, guests, throttle, outrun, pass } = world();
  await outrun();
  guest.gone = true;
  await pass(1, () => {});
  const next = new Guest();
  guests[0] = next;
  await pass(1, () => next.write(10));
  t.is(next.delayUs, 2048);
  t.is(throttle.record.delayUs, 2048);
});

test('adaptive: the record is bounded, whatever the delay does', async (t) => {
  const { guest, throttle, seal, missing, pass } = world('adaptive');
  for (let round = 1; round <= 150; round++) {
    await seal(round);
    missing(round, 40 * MB);
    await pass(round % 2 === 0 ? 1 : 8, () => guest.write(round % 4 < 2 ? 8000 : 1));
    missing(round, 0);
  }
  const { levels, maxDelayUs } = throttle.record;
  t.true(levels.length > 10 && levels.length <= 64, String(levels.length));
  t.true(maxDelayUs > 0 && maxDelayUs <= 250_000);
});
