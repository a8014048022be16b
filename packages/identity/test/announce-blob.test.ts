/** News of a generation for a tracker: who may leave it, who can read it, and what is refused. */
import { toHex } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  announceBlobPlace,
  checkAnnounceBlob,
  createAnnounceBlob,
  createSwarmSecret,
  infoHashOf,
  MAX_BLOB_BYTES,
  openAnnounceBlob,
  topicOf,
} from '../src/index.ts';
import { chainOf, codeOf, generationIn, makeDisk } from './helpers.ts';

const disk = makeDisk();
const { secret, genesis, home, random, grant } = disk;
const generation = generationIn(disk, chainOf(disk, grant), home);
const infoHash = infoHashOf(topicOf(secret, genesis.disk));
const blob = createAnnounceBlob(generation, secret, random)!;

test('a member reads all of it; a tracker learns who speaks and how new it is, and nothing else', (t) => {
  t.true(blob.length <= MAX_BLOB_BYTES);
  t.deepEqual(checkAnnounceBlob(blob, infoHash), { epoch: generation.epoch, sequence: generation.sequence });
  t.deepEqual(announceBlobPlace(blob, infoHash), checkAnnounceBlob(blob, infoHash));
  t.is(openAnnounceBlob(blob, secret, genesis.disk).id, generation.id);
  for (const hidden of [generation.id, generation.root, genesis.disk, home.hostId.slice(0, 64)])
    t.false(toHex(blob).includes(hidden));
});

test('who holds another secret neither reads nor writes it', (t) => {
  const other = createSwarmSecret(random);
  t.is(
    codeOf(() => openAnnounceBlob(blob, other, genesis.disk)),
    'FORMAT_INVALID',
  );
  const forged = createAnnounceBlob(generation, other, random)!;
  t.is(
    codeOf(() => checkAnnounceBlob(forged, infoHash)),
    'FORMAT_INVALID',
  );
  const foreign = makeDisk('other');
  const theirs = generationIn(foreign, chainOf(foreign, foreign.grant), foreign.home);
  t.is(
    codeOf(() => openAnnounceBlob(createAnnounceBlob(theirs, secret, random)!, secret, genesis.disk)),
    'FORMAT_INVALID',
  );
});

test('any changed byte, any cut and any garbage is refused', (t) => {
  fc.assert(
    fc.property(fc.nat(blob.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const altered = blob.slice();
      altered[at] = altered[at]! ^ change;
      t.regex(
        codeOf(() => checkAnnounceBlob(altered, infoHash)),
        /^(FORMAT|SIGNATURE)_INVALID$/,
      );
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200 }), (bytes) => {
      t.regex(
        codeOf(() => checkAnnounceBlob(bytes, infoHash)),
        /^(FORMAT|SIGNATURE)_INVALID$/,
      );
    }),
  );
  t.is(
    codeOf(() => checkAnnounceBlob(blob.slice(0, -1), infoHash)),
    'SIGNATURE_INVALID',
  );
});
