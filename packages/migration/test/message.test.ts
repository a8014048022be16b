import { DiskswarmError, type GenerationId } from '@diskswarm/core';
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
  { kind: 'prepared', migration },
  { kind: 'refused', migration, code: 'VM_STATE', message: 'no' },
  { kind: 'round', migration, round: 3, generations },
  { kind: 'progress', migration, round: 3, known: true, missingBytes: 65_536 },
  { kind: 'openMemory', migration, channels: 2, compress: true },
  { kind: 'final', migration, generations },
  { kind: 'memoryReady', migration },
  { kind: 'finalReady', migration },
  { kind: 'completed', migration },
  { kind: 'confirmed', migration },
  { kind: 'running', migration },
  { kind: 'done', migration },
  { kind: 'cancel', migration, code: 'ABORTED', message: 'ü'.repeat(200) },
];

for (const message of MESSAGES) {
  test(`${message.kind}: round trip`, (t) => {
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
