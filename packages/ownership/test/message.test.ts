/** Messages of ownership: round trips, bounds, garbage. */
import { encodeCanonical, type GenerationId, hasCode, idToBytes } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  decodeOwnershipMessage,
  encodeOwnershipMessage,
  MAX_OWNERSHIP_MESSAGE_BYTES,
  type OwnershipMessage,
} from '../src/index.ts';
import { genesis } from './disk.ts';

const { disk } = genesis;
const nonce = new Uint8Array(16).fill(5);
const record = new Uint8Array(300).fill(6);
const messages: OwnershipMessage[] = [
  { kind: 'ask', disk, nonce },
  { kind: 'refused', disk, nonce, code: 'CLIENT_CONNECTED', message: 'a VM uses the disk' },
  { kind: 'relinquish', disk, record, generation: record },
  { kind: 'verdict', disk, record },
  { kind: 'receiptRequest', disk, generation: disk as string as GenerationId, nonce },
  { kind: 'receipt', disk, record },
  { kind: 'release', disk, record },
  { kind: 'epoch', disk, record },
  { kind: 'templates', disk, record },
];

for (const message of messages) {
  test(`"${message.kind}" survives its bytes`, (t) => {
    t.deepEqual(decodeOwnershipMessage(encodeOwnershipMessage(message)), message);
  });
}

test('the largest message fits its limit', (t) => {
  const largest = encodeOwnershipMessage({
    kind: 'relinquish',
    disk,
    record: new Uint8Array(2048),
    generation: new Uint8Array(4096),
  });
  t.true(largest.length <= MAX_OWNERSHIP_MESSAGE_BYTES);
});

const refuses = (bytes: Uint8Array): boolean => {
  try {
    decodeOwnershipMessage(bytes);
    return false;
  } catch (error) {
    return hasCode(error, 'FORMAT_INVALID');
  }
};

test('garbage, unknown kinds, missing and foreign fields are refused', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), refuses));
  const raw = idToBytes(disk);
  t.true(refuses(encodeCanonical({ kind: 'steal', disk: raw })));
  t.true(refuses(encodeCanonical({ kind: 'toString', disk: raw })));
  t.true(refuses(encodeCanonical({ kind: 'ask', disk: raw })));
  t.true(refuses(encodeCanonical({ kind: 'ask', disk: raw, nonce: nonce.subarray(1) })));
  t.true(refuses(encodeCanonical({ kind: 'ask', disk: raw, nonce, record })));
  t.true(refuses(encodeCanonical({ kind: 'verdict', disk: raw, record: new Uint8Array(2049) })));
  t.true(refuses(new Uint8Array(MAX_OWNERSHIP_MESSAGE_BYTES + 1)));
});
