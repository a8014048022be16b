import { DiskswarmError, decodeCanonical, encodeCanonical, type GenerationId } from '@diskswarm/core';
import { hostFromBytes } from '@diskswarm/identity';
import test from 'ava';
import fc from 'fast-check';
import {
  decodeMigrationMessage,
  encodeMigrationMessage,
  MAX_DEFINITION_BYTES,
  type MigrationMessage,
} from '../src/index.ts';

const migration = '0123456789abcdef0123456789abcdef';
const generations = ['11'.repeat(32), '22'.repeat(32)] as GenerationId[];
const MESSAGES: readonly MigrationMessage[] = [
  { kind: 'prepare', migration, definition: Uint8Array.of(1, 2), qemuVersion: '7.2.1', diskMode: 'hybrid' },
  { kind: 'prepare', migration, definition: Uint8Array.of(1), qemuVersion: '', diskMode: 'precopy', statistics: true },
  { kind: 'prepared', migration },
  { kind: 'refused', migration, code: 'VM_STATE', message: 'no' },
  { kind: 'round', migration, round: 3, generations },
  { kind: 'progress', migration, round: 3, known: true, missingBytes: 65_536 },
  { kind: 'openMemory', migration, channels: 2, compress: true, postcopy: false },
  { kind: 'final', migration, generations },
  { kind: 'memoryReady', migration },
  { kind: 'finalReady', migration },
  {
    kind: 'statistics',
    migration,
    sources: [
      { host: hostFromBytes(new Uint8Array(64).fill(1)), faultBytes: 65_536, backgroundBytes: 1_000_000 },
      { host: hostFromBytes(new Uint8Array(64).fill(2)), faultBytes: 0, backgroundBytes: 7 },
    ],
    faults: { count: 3, p50: 900, p90: 1200, p99: 50_000, max: 51_234 },
    missingBytes: 65_536,
  },
  { kind: 'confirmed', migration },
  { kind: 'running', migration },
  { kind: 'cancel', migration, code: 'ABORTED', message: 'ü'.repeat(200) },
];

for (const [index, message] of MESSAGES.entries()) {
  test(`${index}, ${message.kind}: round trip`, (t) => {
    t.deepEqual(decodeMigrationMessage(encodeMigrationMessage(message)), message);
  });
}

test('golden bytes', (t) => {
  t.is(
    Buffer.from(
      encodeMigrationMessage({ kind: 'progress', migration: '61'.repeat(16), round: 2, known: true, missingBytes: 7 }),
    ).toString(),
    `d4:kind8:progress5:knowni1e9:migration16:${'a'.repeat(16)}7:missingi7e5:roundi2ee`,
  );
});

test('long texts are cut at a character, a definition that is too large is refused', (t) => {
  const cut = decodeMigrationMessage(
    encodeMigrationMessage({ kind: 'cancel', migration, code: 'X', message: 'ü'.repeat(900) }),
  );
  t.is(cut.kind === 'cancel' && cut.message, 'ü'.repeat(256));
  const definition = new Uint8Array(MAX_DEFINITION_BYTES + 1);
  t.throws(
    () => encodeMigrationMessage({ kind: 'prepare', migration, definition, qemuVersion: '', diskMode: 'hybrid' }),
    {
      code: 'LIMIT_EXCEEDED',
    },
  );
});

test('of many sources the ones that gave most are told', (t) => {
  const sources = Array.from({ length: 40 }, (_, index) => ({
    ...{ host: hostFromBytes(new Uint8Array(64).fill(index)), faultBytes: index, backgroundBytes: 0 },
  }));
  const faults = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
  const told = decodeMigrationMessage(
    encodeMigrationMessage({ kind: 'statistics', migration, sources, faults, missingBytes: 0 }),
  );
  t.deepEqual(
    told.kind === 'statistics' && told.sources.map(({ faultBytes }) => faultBytes),
    Array.from({ length: 16 }, (_, index) => 39 - index),
  );
});

test('malformed statistics are refused', (t) => {
  const bytes = (fields: object) =>
    encodeCanonical({ kind: 'statistics', migration: new Uint8Array(16), missing: 0, ...fields });
  const host = new Uint8Array(64);
  const faults = [0, 0, 0, 0, 0];
  for (const fields of [
    { faults },
    { sources: [], faults, missing: -1 },
    { sources: [], faults: [0, 0, 0, 0] },
    { sources: [], faults: [0, 0, 0, 0, 0, 0] },
    { sources: [], faults: [0, 0, 0, 0, -1] },
    { sources: [[host, 1]], faults },
    { sources: [[host.slice(1), 1, 1]], faults },
    { sources: [[host, -1, 1]], faults },
    { sources: [[host, 1, host]], faults },
    { sources: Array(17).fill([host, 1, 1]), faults },
  ])
    t.throws(() => decodeMigrationMessage(bytes(fields)), { code: 'FORMAT_INVALID' }, JSON.stringify(fields));
});

test('that the source understands statistics is said in a way that an agent which knows none passes over', (t) => {
  const bytes = encodeMigrationMessage(MESSAGES.find((message) => message.kind === 'prepare' && message.statistics)!);
  const fields = Object.keys(decodeCanonical(bytes, { maxBytes: 1000, what: 'message' }));
  t.deepEqual(
    fields.filter((field) => !['kind', 'migration', 'definition', 'qemu', 'mode'].includes(field)),
    ['x-statistics'],
  );
});

test('garbage, whole or as a mutation of something true, is FORMAT_INVALID or another message', (t) => {
  const refused = (bytes: Uint8Array): void => {
    try {
      decodeMigrationMessage(bytes);
    } catch (error) {
      t.true(
        error instanceof DiskswarmError && ['FORMAT_INVALID', 'LIMIT_EXCEEDED'].includes(error.code),
        String(error),
      );
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), refused));
  fc.assert(
    fc.property(fc.constantFrom(...MESSAGES), fc.nat(), fc.nat(255), (message, at, value) => {
      const bytes = encodeMigrationMessage(message).slice();
      bytes[at % bytes.length] = value;
      refused(bytes);
    }),
  );
});
