/** Keys of hosts and owners, their files, and ids that notice a mistyped digit. */
import { encodeCanonical } from '@diskswarm/core';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import fc from 'fast-check';
import {
  createOwner,
  decodeHostKeys,
  decodeOwnerFile,
  encodeHostKeys,
  encodeOwnerFile,
  hostFromBytes,
  hostIdOf,
  hostKeysOf,
  hostToBytes,
  parseHostId,
  shortHost,
  withoutRecovery,
} from '../src/index.ts';
import { codeOf, makeDisk } from './helpers.ts';

const { home, office, owner, random } = makeDisk();

test('a host id holds both public keys and survives text and bytes', (t) => {
  const id = hostIdOf(home);
  t.regex(id, /^[0-9a-f]{136}$/);
  t.is(parseHostId(id), id);
  t.is(hostFromBytes(hostToBytes(id)), id);
  t.is(hostKeysOf(id).signing.length, 32);
  t.notDeepEqual(hostKeysOf(id).signing, hostKeysOf(id).wrapping);
  t.true(id.startsWith(shortHost(id)));
});

test('a mistyped host id is refused: any one digit', (t) => {
  fc.assert(
    fc.property(fc.nat(135), fc.integer({ min: 1, max: 15 }), (position, step) => {
      const digit = ((Number.parseInt(home.hostId[position]!, 16) + step) % 16).toString(16);
      const typo = home.hostId.slice(0, position) + digit + home.hostId.slice(position + 1);
      return codeOf(() => parseHostId(typo)) === 'INVALID_ID';
    }),
  );
  for (const text of ['', home.hostId.toUpperCase(), home.hostId.slice(1), `${home.hostId}00`]) {
    t.is(
      codeOf(() => parseHostId(text)),
      'INVALID_ID',
    );
  }
});

test('host keys survive their file, and no other file passes for one', (t) => {
  t.deepEqual(decodeHostKeys(encodeHostKeys(home)), home);
  t.not(home.hostId, office.hostId);
  t.is(
    codeOf(() => decodeHostKeys(encodeHostKeys(home).subarray(1))),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() =>
      decodeHostKeys(
        encodeCanonical({ v: 2, kind: 'host keys', signing: home.signingSeed, wrapping: home.wrappingSeed }),
      ),
    ),
    'FORMAT_INVALID',
  );
});

test('the owner file opens with its passphrase only, and with any way to type it', (t) => {
  const file = encodeOwnerFile(owner, 'caf\u00e9', random);
  t.deepEqual(decodeOwnerFile(file, 'cafe\u0301'), owner);
  t.is(
    codeOf(() => decodeOwnerFile(file, 'cafe')),
    'PASSPHRASE_WRONG',
  );
  t.is(
    codeOf(() => decodeOwnerFile(file, '')),
    'INVALID_ARGUMENT',
  );
});

test('the recovery seed stays out of the file that goes on after a backup', (t) => {
  const kept = decodeOwnerFile(encodeOwnerFile(withoutRecovery(owner), 'p', random), 'p');
  t.is(kept.recoverySeed, null);
  t.deepEqual(kept.recoveryPublicKey, owner.recoveryPublicKey);
  t.deepEqual(kept.signingSeed, owner.signingSeed);
});

test('an owner file that asks for unbounded work is refused before any is done', (t) => {
  const nonce = new Uint8Array(12);
  for (const kdf of [
    { logN: 40, r: 8, p: 1 },
    { logN: 17, r: 800, p: 1 },
    { logN: 17, r: 8, p: 1000 },
    { logN: 1, r: 8, p: 1 },
  ]) {
    const file = encodeCanonical({
      v: 1,
      kind: 'owner file',
      kdf: { ...kdf, salt: new Uint8Array(16) },
      nonce,
      box: new Uint8Array(40),
    });
    t.is(
      codeOf(() => decodeOwnerFile(file, 'p')),
      'FORMAT_INVALID',
    );
  }
});

test('a damaged owner file is an error with a code, never a crash', (t) => {
  const header = encodeOwnerFile(createOwner(new SeededRandom('x')), 'p', random);
  t.is(
    codeOf(() => decodeOwnerFile(header.subarray(0, header.length - 1), 'p')),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => decodeOwnerFile(header.with(40, header[40]! ^ 1), 'p')),
    'PASSPHRASE_WRONG',
  );
  t.is(
    codeOf(() => decodeOwnerFile(new Uint8Array(0), 'p')),
    'FORMAT_INVALID',
  );
});
