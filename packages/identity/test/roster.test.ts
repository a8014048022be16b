/** Genesis and roster: who may read the secret, what is newer, what is refused. */
import { type Decoded, decodeCanonical, encodeCanonical } from '@diskswarm/core';
import test from 'ava';
import {
  activeMember,
  createGenesis,
  createHostKeys,
  createRoster,
  decodeGenesis,
  diskIdOf,
  firstRoster,
  grantMember,
  type HostKeys,
  infoHashOf,
  MAX_MEMBERS,
  memberOf,
  openRosterSecret,
  revokeMember,
  takeRoster,
  topicOf,
  unwrapSecret,
  verifyRoster,
  wrapSecret,
} from '../src/index.ts';
import { codeOf, makeDisk } from './helpers.ts';

const disk = makeDisk();
const { genesis, owner, random, home, office, hotel, stranger, roster, secret } = disk;

test('a genesis gives the disk its id, and chunk sizes are bounded', (t) => {
  t.deepEqual(decodeGenesis(genesis.bytes), genesis);
  t.not(diskIdOf(createGenesis(owner, 65536, random)), genesis.disk);
  for (const size of [0, 8192, 65537, 2 ** 21, -65536])
    t.is(
      codeOf(() => createGenesis(owner, size, random)),
      'BAD_CHUNK_SIZE',
    );
});

test('every member and nobody else opens the secret of a roster', (t) => {
  for (const keys of [home, office, hotel]) t.deepEqual(openRosterSecret(roster, keys), secret);
  t.is(
    codeOf(() => openRosterSecret(roster, stranger)),
    'ROLE_FORBIDS',
  );
  const box = roster.boxes.get(office.hostId)!;
  t.is(
    codeOf(() => unwrapSecret(box, hotel, genesis.disk)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => unwrapSecret(box, office, createGenesis(owner, 65536, random).disk)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => unwrapSecret(new Uint8Array(80), office, genesis.disk)),
    'FORMAT_INVALID',
  );
  t.deepEqual(unwrapSecret(wrapSecret(secret, stranger.hostId, genesis.disk, random), stranger, genesis.disk), secret);
});

test('a roster survives its bytes; another owner, another disk or any changed byte does not pass', (t) => {
  t.deepEqual(verifyRoster(roster.bytes, genesis), roster);
  const other = makeDisk('other');
  t.is(
    codeOf(() => verifyRoster(other.roster.bytes, genesis)),
    'FORMAT_INVALID',
  );
  const forged = createRoster(
    { genesis: { ...genesis, owner: other.owner.publicKey }, sequence: 2, members: [], secret },
    other.owner,
    random,
  );
  t.is(
    codeOf(() => verifyRoster(forged.bytes, genesis)),
    'SIGNATURE_INVALID',
  );
  for (let position = 0; position < roster.bytes.length; position += 7) {
    const changed = roster.bytes.with(position, roster.bytes[position]! ^ 1);
    t.true(
      ['FORMAT_INVALID', 'SIGNATURE_INVALID'].includes(codeOf(() => verifyRoster(changed, genesis))),
      `byte ${position}`,
    );
  }
});

test('a field that nobody knows is refused unless it is marked as safe to ignore', (t) => {
  const value = decodeCanonical(roster.bytes, { maxBytes: 1 << 20, what: 'roster' }) as { [key: string]: Decoded };
  t.is(
    codeOf(() => verifyRoster(encodeCanonical({ ...value, quorum: 2 }), genesis)),
    'FORMAT_INVALID',
  );
  // An ignorable field is part of what was signed: adding one afterwards is an alteration.
  t.is(
    codeOf(() => verifyRoster(encodeCanonical({ ...value, 'x-note': 'hi' }), genesis)),
    'SIGNATURE_INVALID',
  );
});

test('a grant adds one to the sequence and keeps the secret; a revocation replaces it and keeps the host listed', (t) => {
  const first = firstRoster(genesis, home.hostId, owner, random);
  const granted = grantMember({ genesis, ...first, host: office.hostId, role: 'writer' }, owner, random);
  t.is(granted.roster.sequence, 2);
  t.deepEqual(openRosterSecret(granted.roster, office), first.secret);
  const after = { epoch: 3, sequence: 9 };
  const revoked = revokeMember({ genesis, roster: granted.roster, host: office.hostId, after }, owner, random);
  t.is(revoked.roster.sequence, 3);
  t.deepEqual(memberOf(revoked.roster, office.hostId), { host: office.hostId, role: 'writer', revoked: after });
  t.notDeepEqual(revoked.secret, first.secret);
  t.notDeepEqual(revoked.roster.secretId, first.roster.secretId);
  t.deepEqual(openRosterSecret(revoked.roster, home), revoked.secret);
  t.is(
    codeOf(() => openRosterSecret(revoked.roster, office)),
    'REVOKED',
  );
  t.is(
    codeOf(() => activeMember(revoked.roster, office.hostId)),
    'REVOKED',
  );
  t.is(
    codeOf(() => revokeMember({ genesis, roster: revoked.roster, host: office.hostId, after }, owner, random)),
    'INVALID_ARGUMENT',
  );
  t.is(
    codeOf(() => revokeMember({ genesis, roster: revoked.roster, host: stranger.hostId, after }, owner, random)),
    'INVALID_ARGUMENT',
  );
  const again = grantMember({ genesis, ...revoked, host: office.hostId, role: 'writer' }, owner, random);
  t.deepEqual(openRosterSecret(again.roster, office), revoked.secret);
});

test('a writer is never demoted, because its generations are checked for ever', (t) => {
  t.is(
    codeOf(() => grantMember({ genesis, roster, secret, host: office.hostId, role: 'reader' }, owner, random)),
    'INVALID_ARGUMENT',
  );
});

test('hosts take newer rosters only, and agree on one of two with the same number', (t) => {
  const left = grantMember({ genesis, roster, secret, host: stranger.hostId, role: 'reader' }, owner, random).roster;
  const right = revokeMember(
    { genesis, roster, host: hotel.hostId, after: { epoch: 1, sequence: 1 } },
    owner,
    random,
  ).roster;
  t.is(takeRoster(roster, roster).verdict, 'same');
  t.is(takeRoster(roster, left).verdict, 'newer');
  t.is(takeRoster(left, roster).verdict, 'stale');
  t.is(takeRoster(left, right).verdict, 'newer', 'the one with more revocations wins');
  t.is(takeRoster(right, left).verdict, 'stale');
});

test('a roster is bounded', (t) => {
  const hosts: HostKeys[] = Array.from({ length: MAX_MEMBERS + 1 }, () => createHostKeys(random));
  const members = hosts.map(({ hostId }) => ({ host: hostId, role: 'reader' as const }));
  t.is(
    codeOf(() => createRoster({ genesis, sequence: 1, members, secret }, owner, random)),
    'LIMIT_EXCEEDED',
  );
  const full = createRoster({ genesis, sequence: 1, members: members.slice(1), secret }, owner, random);
  t.deepEqual(openRosterSecret(full, hosts.at(-1)!), secret);
});

test('the topic needs the secret and differs for every disk', (t) => {
  const topic = topicOf(secret, genesis.disk);
  t.is(topic.length, 32);
  t.is(infoHashOf(topic).length, 20);
  t.notDeepEqual(infoHashOf(topic), topic.slice(0, 20), 'who knows the info hash does not know the topic');
  t.notDeepEqual(topicOf(new Uint8Array(32), genesis.disk), topic);
  t.notDeepEqual(topicOf(secret, makeDisk('other').genesis.disk), topic);
});
