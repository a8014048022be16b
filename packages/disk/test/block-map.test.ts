/** The block map beside a plain array, and at the size of the largest disk. */
import test from 'ava';
import fc from 'fast-check';
import { BLOCK, BlockMap, type BlockState } from '../src/block-map.ts';

test('agrees with a plain array, whatever is set', (t) => {
  const blocks = 40_000;
  const command = fc.record({
    first: fc.nat(blocks - 1),
    count: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: blocks })),
    state: fc.constantFrom(0, 1, 2, 3),
  });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
      const map = new BlockMap(blocks);
      const model = new Uint8Array(blocks);
      for (const { first, count, state } of commands) {
        const end = Math.min(blocks, first + count);
        map.set(first, end - first, state as BlockState);
        model.fill(state, first, end);
      }
      for (let block = 0; block < blocks; block += 7) if (map.get(block) !== model[block]) return false;
      const runs: [number, number, number][] = [];
      let dataBlocks = 0;
      for (let block = 0; block < blocks; ) {
        const kind = model[block]! % 2 === 1 ? 1 : model[block]!;
        let end = block;
        while (end < blocks && (model[end]! % 2 === 1 ? 1 : model[end]) === kind) end++;
        if (kind === 1) dataBlocks += end - block;
        if (kind !== 0) runs.push([block, end - block, kind]);
        block = end;
      }
      t.deepEqual(
        [...map.runs()].map(({ first, count, state }) => [first, count, state]),
        runs,
      );
      t.is(map.dataBlocks, dataBlocks);
      t.is(map.holeBlocks, model.filter((state) => state === BLOCK.hole).length);
      return true;
    }),
    { numRuns: 60 },
  );
});

test('runs end where the state does, and at the limit', (t) => {
  const map = new BlockMap(100_000);
  map.set(100, 50_000, BLOCK.data);
  t.is(map.runEnd(100, 100_000, BLOCK.data), 50_100);
  t.is(map.runEnd(100, 2000, BLOCK.data), 2000);
  t.is(map.runEnd(99, 100_000, BLOCK.data), 99);
  t.is(map.nextMapped(0, 100_000), 100);
  t.is(map.nextMapped(50_100, 100_000), 100_000);
  t.is(map.withoutData(90, 20), 10);
});

test('a discard of a 64 TiB disk takes no time and no memory to speak of', (t) => {
  const blocks = 2 ** 34;
  const map = new BlockMap(blocks);
  map.set(0, blocks, BLOCK.hole);
  t.is(map.get(blocks - 1), BLOCK.hole);
  t.is(map.holeBlocks, blocks);
  t.is(map.runEnd(0, blocks, BLOCK.hole), blocks);
});
