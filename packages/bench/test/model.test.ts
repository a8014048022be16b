/** Modelled crowds: nothing is lost or made up on the way, the same seed gives the same, and small cases come to what a hand computes. */
import test from 'ava';
import { type BootTrace, bootOf } from '../src/model/boot-trace.ts';
import { type CrowdOptions, modelCrowd } from '../src/model/crowd.ts';
import { modelNbdCrowd } from '../src/model/nbd-crowd.ts';
import { FRAMED } from '../src/model/sender.ts';
import { unitsOf } from '../src/model/units.ts';
import type { TraceRequest } from '../src/traces/trace.ts';

const CHUNK = 65_536;
const FOREVER = { signal: new AbortController().signal };
/** Thirty touches all over a disk of 120 chunks. */
const BOOT: BootTrace = {
  chunkBytes: CHUNK,
  present: Array.from({ length: 120 }, (_, index) => index + 4),
  steps: Array.from({ length: 30 }, (_, index) => ({
    thinkUs: index === 0 ? 500_000 : 5_000,
    pieces: [4 + ((index * 37) % 120)],
  })),
  restUs: 100_000,
};
const CROWD: CrowdOptions = {
  ...{ way: 'clone', trace: BOOT, hosts: 6, seed: 1, group: 1, hearMs: 0 },
  ...{
    uplink: { bitsPerSecond: 20e6, delayMs: 10 },
    lanBitsPerSecond: 1e9,
    cores: Number.POSITIVE_INFINITY,
    withinMs: 100,
  },
};

for (const way of ['clone', 'disk'] as const) {
  test(`${way}: what all have sent is what all have received, and everybody has every chunk once`, async (t) => {
    for (const hosts of [1, 6, 70]) {
      const result = await modelCrowd({ ...CROWD, way, hosts, group: way === 'disk' ? 8 : 1 }, FOREVER);
      const sum = (pick: (host: (typeof result.hosts)[number]) => number): number =>
        result.hosts.reduce((total, host) => total + pick(host), 0);
      t.is(
        sum(({ receivedBytes }) => receivedBytes),
        result.sentBytes + sum(({ sentBytes }) => sentBytes),
      );
      for (const { receivedBytes, wastedBytes } of result.hosts) t.is(receivedBytes - wastedBytes, result.oneHostBytes);
      t.is(result.loginSeconds.length, hosts);
      t.true(result.loginSeconds.every((seconds) => seconds > 0.5 + 0.1));
    }
  });

  test(`${way}: the seed sends a copy at least, and never less than a line can carry in the time`, async (t) => {
    for (const hosts of [1, 2, 4, 8]) {
      const { sentBytes, oneHostBytes, totalSeconds, lineBytes } = await modelCrowd({ ...CROWD, way, hosts }, FOREVER);
      t.true(sentBytes >= oneHostBytes, `${hosts}`);
      t.true(sentBytes <= 1.05 * hosts * oneHostBytes, `${hosts}: ${sentBytes / oneHostBytes} copies`);
      t.true(lineBytes > sentBytes);
      t.true((sentBytes * FRAMED * 8) / 20e6 <= totalSeconds);
    }
  });

  test(`${way}: a seed decides everything`, async (t) => {
    const once = await modelCrowd({ ...CROWD, way }, FOREVER);
    t.deepEqual(await modelCrowd({ ...CROWD, way }, FOREVER), once);
    t.notDeepEqual((await modelCrowd({ ...CROWD, way, seed: 2 }, FOREVER)).loginSeconds, once.loginSeconds);
  });
}

test('clones of a template: the seed sends little more than one copy, however many there are', async (t) => {
  const { sentBytes, oneHostBytes } = await modelCrowd({ ...CROWD, hosts: 40 }, FOREVER);
  t.true(sentBytes <= 1.3 * oneHostBytes, `${sentBytes / oneHostBytes} copies`);
});

/** One chunk that takes 100 ms on the line. */
const ONE: BootTrace = { chunkBytes: CHUNK, present: [0], steps: [{ thinkUs: 1e6, pieces: [0] }], restUs: 500_000 };
const BY_HAND = {
  ...CROWD,
  ...{ trace: ONE, hosts: 2, withinMs: 0, uplink: { bitsPerSecond: CHUNK * 8 * FRAMED * 10, delayMs: 10 } },
};
const sorted = (values: readonly number[]): number[] =>
  values.map((each) => Number(each.toFixed(6))).sort((a, b) => a - b);

test('two hosts by hand: NBD clients get the chunk one after the other', async (t) => {
  // 1 s busy, 10 ms there, 100 ms on the line (the other's before it), 10 ms back, 0.5 s busy.
  const { loginSeconds, sentBytes } = await modelNbdCrowd(BY_HAND, FOREVER);
  t.deepEqual(sorted(loginSeconds), [1.62, 1.72]);
  t.is(sentBytes, 2 * CHUNK);
});

test('two hosts by hand: of two clones one asks the seed, the other asks that one', async (t) => {
  const { loginSeconds, sentBytes } = await modelCrowd(BY_HAND, FOREVER);
  const lan = (CHUNK * 8 * FRAMED) / 1e9 + 100e-6;
  t.deepEqual(sorted(loginSeconds), sorted([1.62, 1.62 + lan]));
  t.is(sentBytes, CHUNK);
});

test('two hosts by hand: of a whole disk the chunk is there before the guests touch it', async (t) => {
  const { loginSeconds, sentBytes, totalSeconds } = await modelCrowd({ ...BY_HAND, way: 'disk' }, FOREVER);
  t.deepEqual(sorted(loginSeconds), [1.5, 1.5]);
  t.is(sentBytes, 2 * CHUNK);
  t.is(totalSeconds, 1.5);
});

test('guests that share a core take twice as long for what keeps them busy', async (t) => {
  const { loginSeconds } = await modelNbdCrowd(
    { ...BY_HAND, cores: 1, uplink: { bitsPerSecond: 10e9, delayMs: 0 } },
    FOREVER,
  );
  for (const seconds of loginSeconds) t.true(Math.abs(seconds - 3) < 0.001, String(seconds));
});

test('what guests wait for is never grouped, and nothing gets lost in groups', (t) => {
  const units = unitsOf(BOOT, 8, true);
  t.is(
    units.all.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    120 * CHUNK,
  );
  for (const { pieces } of BOOT.steps) {
    for (const piece of pieces) t.deepEqual(units.all[units.of(piece)], { piece, lengthBytes: CHUNK });
  }
  t.true(units.all.length < 120);
  t.is(unitsOf(BOOT, 8, false).all.length, 30);
});

test('a recorded boot: first touches alone, those together that did not wait for each other, the time between them', (t) => {
  const at = (
    atUs: number,
    offsetBytes: number,
    lengthBytes: number,
    operation: TraceRequest['operation'] = 'read',
  ) => ({
    ...{ atUs, operation, offsetBytes, lengthBytes, tookUs: 300 },
  });
  const requests = [
    at(100_000, 0, 4096),
    at(100_200, 0x1f000, 0x2000),
    at(150_000, 0x50000, 4096, 'write'),
    at(200_000, 4096, 4096),
    at(300_500, 0x50000, 4096),
    at(600_000, 0x90000, 4096),
  ];
  t.deepEqual(bootOf(requests, { chunkBytes: CHUNK, present: [0, 1, 2, 5, 9], loginUs: 500_000 }), {
    chunkBytes: CHUNK,
    present: [0, 1, 2, 5, 9],
    steps: [
      { thinkUs: 100_000, pieces: [0, 1, 2] },
      { thinkUs: 200_000, pieces: [5] },
    ],
    restUs: 199_200,
  });
});
