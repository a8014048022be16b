/** Records of an overlay map: golden bytes, round trips, garbage. */
import { readFileSync } from 'node:fs';
import { type DiskId, type GenerationId, hasCode } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { decodeMapRecord, encodeMapRecord, MAX_RUNS, type MapRecord } from '../src/map-record.ts';

const DISK = 'd1'.repeat(32) as DiskId;
const BASE = 'ba'.repeat(32) as GenerationId;

const GOLDEN: Record<string, MapRecord> = {
  header: { type: 'header', header: { layer: 3, sizeBytes: 1_099_511_627_776, epoch: 7, disk: DISK, base: BASE } },
  session: { type: 'session', valid: 258, boot: new Uint8Array(32).fill(0xb0) },
  runs: {
    type: 'runs',
    runs: [
      { first: 0, count: 1, state: 1 },
      { first: 2 ** 32 + 5, count: 4096, state: 2 },
    ],
  },
  flushed: { type: 'flushed', through: 65_537 },
  rebased: { type: 'rebased', droppedThrough: 2, base: BASE },
};

const golden = JSON.parse(readFileSync(new URL('fixtures/map-records.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;

for (const [name, record] of Object.entries(GOLDEN)) {
  test(`${name}: the bytes are those of the golden vector`, (t) => {
    t.is(Buffer.from(encodeMapRecord(record)).toString('hex'), golden[name]!);
    t.deepEqual(decodeMapRecord(Buffer.from(golden[name]!, 'hex')), record);
  });
}

test('runs come back as they went in', (t) => {
  const run = fc.record({
    first: fc.nat({ max: 2 ** 34 }),
    count: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    state: fc.constantFrom(1 as const, 2 as const),
  });
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: MAX_RUNS }), (runs) => {
      t.deepEqual(decodeMapRecord(encodeMapRecord({ type: 'runs', runs })), { type: 'runs', runs });
    }),
    { numRuns: 50 },
  );
});

test('garbage is refused, or is a record that encodes to the same bytes', (t) => {
  const near = fc.constantFrom(...Object.values(golden)).chain((hex) =>
    fc.tuple(fc.nat(hex.length / 2 - 1), fc.nat(255)).map(([at, value]) => {
      const bytes = Buffer.from(hex, 'hex');
      bytes[at] = value;
      return bytes as Uint8Array;
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), near), (bytes) => {
      try {
        t.deepEqual(Buffer.from(encodeMapRecord(decodeMapRecord(bytes))), Buffer.from(bytes));
      } catch (error) {
        t.true(hasCode(error, 'FORMAT_INVALID') || hasCode(error, 'STATE_VERSION'));
      }
    }),
    { numRuns: 500 },
  );
});
