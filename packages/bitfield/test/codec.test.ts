/** Encoded runs: golden bytes, round trips, one encoding per set, and bounds against what peers send. */
import { fromHex, hasCode, toHex } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { decodeRuns, encodeRuns, RangeSet } from '../src/index.ts';
import golden from './fixtures/runs.json' with { type: 'json' };

const bounds = { maxPieces: 2 ** 30, maxRuns: 1000 };

for (const { name, runs, hex } of golden) {
  test(`golden: ${name}`, (t) => {
    const set = RangeSet.from(runs.map(([from, to]) => ({ from: from!, to: to! })));
    t.is(toHex(encodeRuns(set)), hex);
    t.true(decodeRuns(fromHex(hex), bounds).equals(set));
  });
}

const sets = fc
  .array(fc.tuple(fc.nat(2 ** 30 - 1000), fc.integer({ min: 1, max: 1000 })), { maxLength: 50 })
  .map((runs) => RangeSet.from(runs.map(([from, length]) => ({ from, to: from + length }))));

test('sets come back', (t) => {
  fc.assert(fc.property(sets, (set) => t.true(decodeRuns(encodeRuns(set), bounds).equals(set))));
});

test('whatever is accepted is what the encoder writes', (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      try {
        const set = decodeRuns(bytes, bounds);
        accepted++;
        t.is(toHex(encodeRuns(set)), toHex(bytes));
      } catch (error) {
        t.true(hasCode(error, 'FORMAT_INVALID'));
      }
    }),
    { numRuns: 3000 },
  );
  t.true(accepted > 0);
});

for (const [name, hex] of [
  ['nothing', ''],
  ['more runs than allowed', 'e907'],
  ['more runs than there are', '020000'],
  ['a trailing byte', '01000000'],
  ['a run past the last piece', '01808080800400'],
  ['a length past the last piece', '0100ffffffffffff0f'],
  ['a padded count', '8000'],
] as const) {
  test(`refused: ${name}`, (t) => {
    t.true(
      hasCode(
        t.throws(() => decodeRuns(fromHex(hex), bounds)),
        'FORMAT_INVALID',
      ),
    );
  });
}

test('the last piece itself is accepted, one more is not', (t) => {
  const bytes = encodeRuns(RangeSet.from([{ from: 5, to: 10 }]));
  t.is(decodeRuns(bytes, { maxPieces: 10, maxRuns: 1 }).count, 5);
  t.true(
    hasCode(
      t.throws(() => decodeRuns(bytes, { maxPieces: 9, maxRuns: 1 })),
      'FORMAT_INVALID',
    ),
  );
});
