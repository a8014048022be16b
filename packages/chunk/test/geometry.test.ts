/** Geometry: checked sizes, and that pieces tile the disk exactly. */
import { GIB, hasCode, KIB, MAX_DISK_BYTES, MIB, type PieceIndex, pieceIndex } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { Geometry, parseChunkSize } from '../src/index.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return hasCode(error, 'BAD_CHUNK_SIZE') || hasCode(error, 'BAD_IMAGE') || hasCode(error, 'LIMIT_EXCEEDED')
      ? error.code
      : String(error);
  }
};

test('only powers of two from 16K to 1M are chunk sizes', (t) => {
  for (let size = 16 * KIB; size <= MIB; size *= 2) t.is(parseChunkSize(size), size);
  for (const size of [
    0,
    -65536,
    1,
    8 * KIB,
    2 * MIB,
    65535,
    65537,
    48 * KIB,
    65536.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 48,
  ]) {
    t.is(
      codeOf(() => parseChunkSize(size)),
      'BAD_CHUNK_SIZE',
      String(size),
    );
  }
});

test('disk sizes are positive multiples of 512 within the limits', (t) => {
  for (const size of [0, -512, 511, 513, 1024.5, Number.NaN])
    t.is(
      codeOf(() => new Geometry(size, 65536)),
      'BAD_IMAGE',
      String(size),
    );
  t.is(
    codeOf(() => new Geometry(MAX_DISK_BYTES + 512, MIB)),
    'LIMIT_EXCEEDED',
  );
  t.is(
    codeOf(() => new Geometry(20 * 1024 * GIB, 16 * KIB)),
    'LIMIT_EXCEEDED',
  );
  t.is(new Geometry(MAX_DISK_BYTES, 64 * KIB).pieces, 2 ** 30);
});

test('the last piece may be short', (t) => {
  const geometry = new Geometry(3 * 65536 + 512, 65536);
  t.is(geometry.pieces, 4);
  t.is(geometry.lengthOf(pieceIndex(2)), 65536);
  t.is(geometry.lengthOf(pieceIndex(3)), 512);
  t.is(geometry.startOf(pieceIndex(3)), 3 * 65536);
  t.is(geometry.pieceOf(3 * 65536 + 511), pieceIndex(3));
});

test('ranges name the pieces they touch', (t) => {
  const geometry = new Geometry(4 * 65536, 65536);
  const range = (offset: number, length: number): [number, number] => {
    const { from, to } = geometry.piecesIn(offset, length);
    return [from, to];
  };
  t.deepEqual(range(0, 1), [0, 1]);
  t.deepEqual(range(65535, 2), [0, 2]);
  t.deepEqual(range(65536, 65536), [1, 2]);
  t.deepEqual(range(0, 4 * 65536), [0, 4]);
  t.deepEqual(range(65536, 0), [1, 1]);
  t.deepEqual(range(4 * 65536, 0), [4, 4]);
});

test('pieces tile any disk without gap or overlap, beyond 2^32 bytes too', (t) => {
  const sizes = fc.integer({ min: 1, max: 2 ** 36 }).map((sectors) => sectors * 512);
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 16, max: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (size, log, at) => {
        const geometry = new Geometry(size, 2 ** log);
        const offset = Math.min(size - 1, Math.floor(size * at));
        const piece = geometry.pieceOf(offset);
        t.true(geometry.startOf(piece) <= offset && offset < geometry.startOf(piece) + geometry.lengthOf(piece));
        const last = pieceIndex(geometry.pieces - 1);
        t.is(geometry.startOf(last) + geometry.lengthOf(last), size);
        const { from, to } = geometry.piecesIn(offset, size - offset);
        t.is(from, piece);
        t.is(to, geometry.pieces as PieceIndex);
      },
    ),
  );
});

test('positions outside the disk are programmer errors', (t) => {
  const geometry = new Geometry(65536, 65536);
  t.throws(() => geometry.pieceOf(65536), { instanceOf: RangeError });
  t.throws(() => geometry.pieceOf(-1), { instanceOf: RangeError });
  t.throws(() => geometry.startOf(1 as PieceIndex), { instanceOf: RangeError });
  t.throws(() => geometry.piecesIn(1, 65536), { instanceOf: RangeError });
});
