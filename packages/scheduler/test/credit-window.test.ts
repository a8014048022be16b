/** The window's own rules, sample by sample. */
import { KIB, MIB } from '@diskswarm/core';
import test from 'ava';
import { CreditWindow, queueTargetUs } from '../src/credit-window.ts';

const CHUNK = 64 * KIB;
const BASE_US = 80_000;

/** Answers that queued for `queueUs`, each to a request of just before, with the window full. */
function feed(window: CreditWindow, count: number, queueUs: number, from: { nowUs: number }, excessUs = 0): void {
  for (let index = 0; index < count; index++) {
    from.nowUs += 1000;
    const outstandingBytes = Math.floor(window.bytes / CHUNK) * CHUNK;
    const sample = { bytes: CHUNK, sentAtUs: from.nowUs - 1, queueUs, excessUs, baseUs: BASE_US, outstandingBytes };
    window.learn(sample, from.nowUs);
  }
}

test('the target is a quarter of the distance, from 4 to 25 ms; on a LAN 20 ms', (t) => {
  t.deepEqual([100, 6_000, 40_000, 80_000, 400_000].map(queueTargetUs), [20_000, 4_000, 10_000, 20_000, 25_000]);
});

test('it doubles per window while nothing queues, up to the ceiling', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 2, 0, time);
  t.is(window.bytes, 4 * CHUNK);
  feed(window, 4, 0, time);
  t.is(window.bytes, 8 * CHUNK);
  feed(window, 1000, 0, time);
  t.is(window.bytes, 8 * MIB);
});

test('a standing queue ends the doubling; later growth is slow, then fast again when all stays quiet', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 30, 0, time);
  t.true(window.bytes > 16 * CHUNK);
  feed(window, 60, 40_000, time);
  const before = window.bytes;
  feed(window, 30, 0, time);
  t.true(window.bytes > before && window.bytes <= before + CHUNK);
  feed(window, 2000, 0, time);
  t.is(window.bytes, 8 * MIB);
});

test('a queue that does not stand for 20 ms is taken for a busy process', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 2, 0, time);
  const before = window.bytes;
  feed(window, 18, 60_000, time);
  t.is(window.bytes, before);
  feed(window, 1, 0, time);
  t.true(window.bytes >= before);
  feed(window, 40, 60_000, time);
  t.true(window.bytes < before);
});

test('a queue beyond the target brings it to what the path holds without one, and only once per round trip', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 30, 0, time);
  const before = window.bytes;
  feed(window, 40, 80_000, time);
  const after = window.bytes;
  t.true(after < before);
  const old = { bytes: CHUNK, sentAtUs: 0, queueUs: 80_000, baseUs: BASE_US, outstandingBytes: after };
  for (let index = 0; index < 100; index++) window.learn(old, time.nowUs + index);
  t.is(window.bytes, after, 'answers to requests from before the cut say nothing about it');
});

test('a single hiccup in a round changes nothing', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 30, 0, time);
  feed(window, 1, 21_000, time);
  const before = window.bytes;
  for (let round = 0; round < 10; round++) {
    feed(window, 1, 500_000, time);
    feed(window, 20, 0, time);
  }
  t.true(window.bytes >= before);
});

test('it never falls below its floor, and a lone request always goes', (t) => {
  for (const floorChunks of [1, 2]) {
    const window = new CreditWindow({ floorChunks });
    const time = { nowUs: 0 };
    feed(window, 500, 1_000_000, time);
    t.is(window.bytes, floorChunks * CHUNK);
    window.collapse(time.nowUs);
    t.is(window.bytes, floorChunks * CHUNK);
    t.true(window.allows(0, MIB));
    t.false(window.allows(floorChunks * CHUNK, 1));
  }
});

test('what is kept under way is kept whatever queues, and given up when it is kept no longer', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 500, 1_000_000, time);
  window.keep(8 * CHUNK);
  t.is(window.bytes, 8 * CHUNK);
  feed(window, 500, 1_000_000, time);
  window.collapse(time.nowUs);
  t.is(window.bytes, 8 * CHUNK);
  window.keep(0);
  feed(window, 500, 1_000_000, time);
  t.is(window.bytes, CHUNK);
});

test('a window that held nothing back does not grow', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  for (let nowUs = 1000; nowUs < 100_000; nowUs += 1000) {
    window.learn({ bytes: 16 * KIB, sentAtUs: nowUs - 1, queueUs: 0, baseUs: 900, outstandingBytes: 16 * KIB }, nowUs);
  }
  t.is(window.bytes, 128 * KIB);
});

test('what lone answers take too is no queue: nothing is cut for it, nor grown beyond what quick answers bore', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 40, 0, time);
  feed(window, 60, 40_000, time);
  const proven = window.bytes;
  feed(window, 200, 300_000, time);
  t.is(window.bytes, CHUNK);
  t.true(window.starved);
  window.reopen(time.nowUs);
  t.false(window.starved);
  feed(window, 60, 300_000, time, 300_000);
  t.true(window.bytes >= proven, 'doubled as at the start');
  feed(window, 2000, 300_000, time, 300_000);
  const borne = window.bytes;
  t.true(borne < 3 * MIB, `${borne} is what quick answers bore`);
  feed(window, 200, 500_000, time, 300_000);
  t.true(window.bytes < borne, 'what waits beyond is a queue all the same');
  feed(window, 3000, 0, time);
  t.is(window.bytes, 8 * MIB);
});

test('where no quick answer ever came from a full window, slow ones let it grow to 512 KiB', (t) => {
  const window = new CreditWindow({ floorChunks: 1 });
  const time = { nowUs: 0 };
  feed(window, 3000, 300_000, time, 300_000);
  t.is(window.bytes, 512 * KIB);
});
