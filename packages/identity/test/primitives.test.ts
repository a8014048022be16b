/** The cryptography beside the vectors of its RFCs. */
import { fromHex, toHex } from '@diskswarm/core';
import test from 'ava';
import { agree, decrypt, encrypt, publicKeyOf, sign, verify } from '../src/primitives.ts';

test('ed25519 gives the first vectors of RFC 8032', (t) => {
  const seed = fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
  t.is(toHex(publicKeyOf('ed25519', seed)), 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  const signature = sign(seed, new Uint8Array(0));
  t.is(
    toHex(signature),
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  );
  t.true(verify(publicKeyOf('ed25519', seed), new Uint8Array(0), signature));
  t.false(verify(publicKeyOf('ed25519', seed), new Uint8Array(1), signature));
});

test('X25519 agrees as in RFC 7748, section 6.1', (t) => {
  const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
  const alicePublic = fromHex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  t.is(toHex(publicKeyOf('x25519', bob)), 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  t.is(toHex(agree(bob, alicePublic) ?? bob), '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');
});

test('a key of low order gives no shared secret', (t) => {
  t.is(agree(new Uint8Array(32).fill(7), new Uint8Array(32)), null);
});

test('the AEAD opens only what it sealed', (t) => {
  const key = new Uint8Array(32).fill(1);
  const nonce = new Uint8Array(12);
  const plain = Buffer.from('a secret');
  const sealed = encrypt(key, nonce, plain, Buffer.from('disk'));
  t.deepEqual(Buffer.from(decrypt(key, nonce, sealed, Buffer.from('disk')) ?? []), plain);
  t.is(decrypt(key, nonce, sealed, Buffer.from('Disk')), null);
  t.is(decrypt(key, nonce, sealed.with(0, sealed[0]! ^ 1), Buffer.from('disk')), null);
  t.is(decrypt(key, nonce, sealed.subarray(0, 10), Buffer.from('disk')), null);
});
