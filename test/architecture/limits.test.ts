/** docs/LIMITS.md and the sources agree: every bound has a row, and every row a constant of that value in that file. */
import test from 'ava';
import { constantOf, documentLimits, parseValue, sourceLimits } from './limits.ts';

const label = ({ name, file }: { name: string; file: string }): string => `${name} in ${file}`;
const listed = documentLimits();
const held = sourceLimits();

test('there are bounds, in both', (t) => {
  t.true(listed.length > 100);
  t.true(held.length > 100);
});

test('every bound of the sources is in docs/LIMITS.md', (t) => {
  const rows = new Set(listed.map(label));
  t.deepEqual(
    held.filter((limit) => !rows.has(label(limit))).map((limit) => `${label(limit)}: ${limit.value}`),
    [],
  );
});

test('every row has the value that its file has, once', (t) => {
  const values = new Map(held.map((limit) => [label(limit), limit.value]));
  t.deepEqual(
    listed.flatMap((row) => {
      const found = values.get(label(row)) ?? constantOf(row.name, row.file);
      return found === row.value ? [] : [`${label(row)} is ${found}, docs/LIMITS.md says ${row.value}`];
    }),
    [],
  );
  t.is(new Set(listed.map(label)).size, listed.length);
});

test('values are read as people write them', (t) => {
  t.deepEqual(['16 KiB', '4,096', '2^31', '10 s', '0.8', '1 h'].map(parseValue), [
    16_384,
    4096,
    2 ** 31,
    10_000,
    0.8,
    3_600_000,
  ]);
  t.throws(() => parseValue('many'));
});
