/** The root of a file's hash tree, against the definition written out (BEP 52). */
import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { MerkleRoot } from '../src/index.ts';

const BLOCK = 16 * 1024;
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** The leaves, zeros up to a power of two, then pair by pair. */
function rootOf(bytes: Uint8Array): Buffer {
  let level: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK) level.push(sha256(bytes.subarray(at, at + BLOCK)));
  while (!Number.isInteger(Math.log2(level.length))) level.push(Buffer.alloc(32));
  while (level.length > 1) {
    const pairs: Buffer[] = [];
    for (let at = 0; at < level.length; at += 2) pairs.push(sha256(Buffer.concat(level.slice(at, at + 2))));
    level = pairs;
  }
  return level[0]!;
}

test('however the bytes come, the root is the one of the definition', (t) => {
  const cut = fc.tuple(fc.integer({ min: 1, max: 20 * BLOCK }), fc.integer({ min: 1, max: 3 * BLOCK }));
  fc.assert(
    fc.property(cut, ([size, step]) => {
      const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 31) ^ (at >> 8));
      const merkle = new MerkleRoot();
      for (let at = 0; at < size; at += step) merkle.update(bytes.subarray(at, at + step));
      t.deepEqual(Buffer.from(merkle.digest()), rootOf(bytes));
    }),
    { numRuns: 60 },
  );
});

for (let blocks = 1; blocks <= 17; blocks++) {
  test(`${blocks} whole blocks`, (t) => {
    const bytes = new Uint8Array(blocks * BLOCK).fill(blocks);
    const merkle = new MerkleRoot();
    merkle.update(bytes);
    t.deepEqual(Buffer.from(merkle.digest()), rootOf(bytes));
  });
}
