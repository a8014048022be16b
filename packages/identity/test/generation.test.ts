/** Which generations count, and why the others do not. */
import { type Decoded, decodeCanonical, encodeCanonical } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  acceptGeneration,
  compareGenerations,
  createForce,
  createReceipt,
  createRefusal,
  createRelease,
  decodeGeneration,
  forcePoint,
  type Generation,
  revokeMember,
  verifyEpochChain,
  verifyGeneration,
  verifyReceipt,
  verifyRelease,
} from '../src/index.ts';
import { chainOf, codeOf, generationIn, makeDisk, nextGeneration, relinquishTo } from './helpers.ts';

const disk = makeDisk();
const { genesis, roster, owner, home, office, hotel, stranger, grant, random } = disk;
const start = chainOf(disk, grant);
const first = generationIn(disk, start, home);
const second = nextGeneration(disk, start, home, first);
const toOffice = relinquishTo(disk, start, home, office, second);
const moved = chainOf(disk, grant, toOffice);
const third = nextGeneration(disk, moved, office, second);

test('a generation survives its bytes and counts in its chain', (t) => {
  t.deepEqual(decodeGeneration(second.bytes), second);
  for (const generation of [first, second, third]) t.notThrows(() => verifyGeneration(generation, moved, roster));
});

test('a clone names the generation of the disk it came from', (t) => {
  const clone = generationIn(disk, start, home, {
    parent: { disk: makeDisk('template').genesis.disk, generation: first.id },
  });
  t.deepEqual(decodeGeneration(clone.bytes).parent, clone.parent);
});

const untrusted: [string, string, () => [Generation, typeof moved?]][] = [
  ['of another host', 'owner', () => [nextGeneration(disk, moved, hotel, second)]],
  ['of an owner of the past', 'owner', () => [nextGeneration(disk, moved, home, second)]],
  ['of a past epoch, beyond its end', 'forked', () => [nextGeneration(disk, start, home, second)]],
  [
    'in place of the final one',
    'forked',
    () => [generationIn(disk, start, home, { sequence: 2, parent: second.parent, sizeBytes: 512 })],
  ],
  ['that repeats a number of the epoch before', 'forked', () => [nextGeneration(disk, moved, office, first)]],
  [
    'that follows the final number but not the final generation',
    'forked',
    () => [generationIn(disk, moved, office, { sequence: 3, parent: { disk: genesis.disk, generation: first.id } })],
  ],
  [
    'with a wrong authority',
    'authority',
    () => [generationIn(disk, moved, office, { sequence: 3, parent: third.parent, authority: third.id as never })],
  ],
  [
    'with the authority of another epoch',
    'owner',
    () => [generationIn(disk, moved, office, { sequence: 3, parent: third.parent, authority: grant.id })],
  ],
  [
    'with a wrong epoch number',
    'owner',
    () => [generationIn(disk, moved, office, { sequence: 3, parent: third.parent, epoch: 9 })],
  ],
  ['of another disk', 'disk', () => [generationIn(makeDisk('other'), start, home)]],
  [
    'of an epoch that was refused',
    'owner',
    () => [third, chainOf(disk, grant, toOffice, createRefusal(genesis, toOffice, { code: 'X', reason: '' }, office))],
  ],
];
for (const [name, reason, make] of untrusted) {
  test(`not trusted: a generation ${name}`, (t) => {
    const [generation, chain = moved] = make();
    t.is(
      codeOf(() => verifyGeneration(generation, chain, roster)),
      `GENERATION_UNTRUSTED ${reason}`,
    );
  });
}

test('what a host signed after its revocation does not count; what it signed before does', (t) => {
  const change = { genesis, roster, host: home.hostId, after: { epoch: 1, sequence: 1 } };
  const later = revokeMember(change, owner, random).roster;
  const chain = verifyEpochChain([grant, toOffice], genesis, later);
  t.notThrows(() => verifyGeneration(first, chain, later));
  t.is(
    codeOf(() => verifyGeneration(second, chain, later)),
    'GENERATION_UNTRUSTED revoked',
  );
});

test('a forged signature and any changed byte are refused', (t) => {
  for (let position = 0; position < third.bytes.length; position += 3) {
    const code = codeOf(() => decodeGeneration(third.bytes.with(position, third.bytes[position]! ^ 1)));
    t.true(['FORMAT_INVALID', 'GENERATION_UNTRUSTED signature'].includes(code), `byte ${position}: ${code}`);
  }
});

test('a generation may name the group it was sealed with, and keeps its id without one', (t) => {
  const group = '0f'.repeat(16);
  const grouped = generationIn(disk, start, home, { group });
  t.is(decodeGeneration(grouped.bytes).group, group);
  t.is(generationIn(disk, start, home).group, null);
  t.not(grouped.id, generationIn(disk, start, home).id);
  t.is(generationIn(disk, start, home, { group: null }).id, generationIn(disk, start, home).id);
  t.is(
    codeOf(() => generationIn(disk, start, home, { group: '0f'.repeat(15) })),
    'FORMAT_INVALID',
  );
});

test('reserved and unknown critical fields are refused', (t) => {
  const value = decodeCanonical(third.bytes, { maxBytes: 4096, what: 'generation' }) as { [key: string]: Decoded };
  for (const extra of [{ encryption: 1 }, { group: 'vm' }, { memory: 'image' }, { v: 2 }]) {
    t.is(
      codeOf(() => decodeGeneration(encodeCanonical({ ...value, ...extra }))),
      'FORMAT_INVALID',
    );
  }
});

test('only the first generation has no parent of its disk; sizes are sectors', (t) => {
  t.is(
    codeOf(() => generationIn(disk, start, home, { sequence: 2 })),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => generationIn(disk, start, home, { sizeBytes: 1000 })),
    'FORMAT_INVALID',
  );
});

test('garbage is refused with a code', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 500 }),
      (bytes) => codeOf(() => decodeGeneration(bytes)) === 'FORMAT_INVALID',
    ),
  );
  t.pass();
});

test('order is by epoch, then by number', (t) => {
  const of = (epoch: number, sequence: number) => ({ epoch, sequence });
  t.true(compareGenerations(of(1, 9), of(2, 3)) < 0);
  t.true(compareGenerations(of(2, 4), of(2, 3)) > 0);
  t.is(compareGenerations(of(2, 3), of(2, 3)), 0);
});

test('an older generation is never taken for the newest, and two of one place are a fork', (t) => {
  t.is(acceptGeneration(null, first, moved), 'newer');
  t.is(acceptGeneration(second, third, moved), 'newer');
  t.is(acceptGeneration(third, second, moved), 'stale');
  t.is(acceptGeneration(third, third, moved), 'same');
  const twin = generationIn(disk, moved, office, { sequence: 3, parent: third.parent, sizeBytes: 512 });
  t.is(
    codeOf(() => acceptGeneration(third, twin, moved)),
    'GENERATION_UNTRUSTED forked',
  );
});

test('after a forced take-over the fork gives way, also where its number is higher', (t) => {
  const content = {
    at: forcePoint(start, grant.id),
    to: hotel.hostId,
    afterGeneration: first.id,
    afterSequence: 1,
    forkName: 'f',
  };
  const force = createForce(genesis, content, owner);
  const chain = chainOf(disk, grant, toOffice, force);
  const forced = nextGeneration(disk, chain, hotel, first);
  t.notThrows(() => verifyGeneration(forced, chain, roster));
  t.is(
    codeOf(() => verifyGeneration(third, chain, roster)),
    'GENERATION_UNTRUSTED forked',
  );
  t.is(
    codeOf(() => verifyGeneration(second, chain, roster)),
    'GENERATION_UNTRUSTED forked',
  );
  t.is(acceptGeneration(third, forced, chain), 'newer');
  t.is(acceptGeneration(third, first, chain), 'newer');
});

test('a receipt is a promise of its host to a member of the disk that asked', (t) => {
  const nonce = random.bytes(16);
  const receipt = createReceipt(third, nonce, office);
  t.deepEqual(verifyReceipt(receipt.bytes, roster), receipt);
  t.deepEqual(receipt.nonce, nonce);
  t.is(
    codeOf(() => verifyReceipt(createReceipt(third, nonce, stranger).bytes, roster)),
    'ROLE_FORBIDS',
  );
  t.is(
    codeOf(() => verifyReceipt(receipt.bytes, makeDisk('other').roster)),
    'FORMAT_INVALID',
  );
  const at = receipt.bytes.length - 20;
  t.not(
    codeOf(() => verifyReceipt(receipt.bytes.with(at, receipt.bytes[at]! ^ 1), roster)),
    'no error',
  );
});

test('only the present owner releases a pin', (t) => {
  const content = { generation: third, keeper: hotel.hostId, authority: toOffice.id };
  const release = createRelease(content, office);
  t.deepEqual(verifyRelease(release.bytes, moved, roster), release);
  t.is(
    codeOf(() => verifyRelease(createRelease(content, home).bytes, moved, roster)),
    'NOT_OWNER',
  );
  t.is(
    codeOf(() => verifyRelease(release.bytes, start, roster)),
    'NOT_OWNER',
  );
});
