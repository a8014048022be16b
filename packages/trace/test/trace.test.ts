/** Recording, golden bytes, round trips, and traces nobody wrote. */
import { fromHex, hasCode, type PieceIndex, toHex } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { decodeTrace, encodeTrace, TraceRecorder } from '../src/index.ts';
import golden from './fixtures/traces.json' with { type: 'json' };

const bounds = { maxPieces: 2 ** 30, maxEntries: 1000, maxBytes: 8000 };
const pieces = (list: readonly number[]): PieceIndex[] => list as PieceIndex[];

for (const { name, pieces: list, hex } of golden) {
  test(`golden: ${name}`, (t) => {
    t.is(toHex(encodeTrace(pieces(list))), hex);
    t.deepEqual(decodeTrace(fromHex(hex), bounds), pieces(list));
  });
}

test('the recorder keeps first touches in order, up to its bound', (t) => {
  const recorder = new TraceRecorder({ maxEntries: 3 });
  const answers = [9, 2, 9, 5, 7, 2].map((piece) => recorder.record(piece as PieceIndex));
  t.deepEqual(answers, [true, true, false, true, false, false]);
  t.deepEqual(recorder.pieces, pieces([9, 2, 5]));
  t.is(recorder.count, 3);
});

test('traces come back', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2 ** 30 - 1), { maxLength: 200 }), (list) => {
      t.deepEqual(decodeTrace(encodeTrace(pieces(list)), bounds), pieces(list));
    }),
  );
});

test('whatever is accepted is what the encoder writes', (t) => {
  let accepted = 0;
  const trace = fc
    .tuple(fc.nat(6), fc.uint8Array({ maxLength: 8 }))
    .map(([count, rest]) => Uint8Array.of(1, count, ...rest));
  fc.assert(
    fc.property(fc.oneof(trace, fc.uint8Array({ maxLength: 12 })), (bytes) => {
      try {
        const list = decodeTrace(bytes, bounds);
        accepted++;
        t.is(toHex(encodeTrace(list)), toHex(bytes));
      } catch (error) {
        t.true(hasCode(error, 'FORMAT_INVALID'), String(error));
      }
    }),
    { numRuns: 3000 },
  );
  t.true(accepted > 20);
});

for (const [name, hex] of [
  ['nothing', ''],
  ['another version', '0200'],
  ['more entries than allowed', '01e907'],
  ['fewer entries than it says', '01020002'.slice(0, 6)],
  ['a piece twice', '0103000201'],
  ['a piece below zero', '010101'],
  ['a piece beyond the disk', '01018080808008'],
  ['trailing bytes', '010000'],
] as const) {
  test(`refused: ${name}`, (t) => {
    t.true(
      hasCode(
        t.throws(() => decodeTrace(fromHex(hex), bounds)),
        'FORMAT_INVALID',
      ),
    );
  });
}

test('a trace that is too long is refused before it is read', (t) => {
  const bytes = encodeTrace(pieces([1, 2, 3]));
  t.true(
    hasCode(
      t.throws(() => decodeTrace(bytes, { ...bounds, maxBytes: bytes.length - 1 })),
      'FORMAT_INVALID',
    ),
  );
  t.is(decodeTrace(bytes, { ...bounds, maxBytes: bytes.length }).length, 3);
});

test('a boot that reads forward takes about a byte per piece', (t) => {
  const boot = Array.from({ length: 900 }, (_, index) => index + Math.floor(index / 30) * 50);
  t.true(encodeTrace(pieces(boot)).length < 900 * 1.1);
});
