/** Join tokens: lines, rosters that list them, and admissions that count or do not. */
import { decodeCanonical, encodeCanonical } from '@diskswarm/core';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import fc from 'fast-check';
import {
  createAdmission,
  createHostKeys,
  createTokenLine,
  grantMember,
  grantToken,
  type HostKeys,
  isTokenLine,
  MAX_ROSTER_BYTES,
  MAX_TOKENS,
  memberOf,
  newToken,
  openRosterSecret,
  parseTokenLine,
  type Roster,
  revokeMember,
  revokeToken,
  takeRoster,
  tokenIdOf,
  unwrapSecret,
  verifyRoster,
  withAdmissions,
} from '../src/index.ts';
import { codeOf, makeDisk } from './helpers.ts';

const NOW_MS = 1_700_000_000_000;

function lab(uses = 3) {
  const disk = makeDisk();
  const { genesis, roster, owner, home, secret, random } = disk;
  const made = newToken({ genesis, redeemer: home.hostId, role: 'reader', uses, expiresMs: NOW_MS + 1 }, random);
  const listed = grantToken({ genesis, roster, secret, token: made.token, nowMs: NOW_MS }, owner, random).roster;
  const admit = (host: HostKeys, use: number, by = home, id = made.token.id, swarmSecret = secret) =>
    createAdmission({ disk: genesis.disk, id, use, host: host.hostId, secret: swarmSecret }, by, random);
  const guests = Array.from({ length: 5 }, () => createHostKeys(random));
  return { ...disk, ...made, listed, admit, guests };
}

const content = { trackers: ['http://tracker.example:6969/announce'], addresses: ['192.0.2.7:4711'], name: 'lab' };

test('the line says where to go and has no swarm secret; cut, altered and forged ones are told apart', (t) => {
  const { genesis, secret, home, owner } = lab();
  const line = createTokenLine({ ...content, genesis, secret, redeemer: home.hostId }, owner);
  t.regex(line, /^dst1[A-Za-z0-9_-]+$/);
  t.true(isTokenLine(`  ${line}`));
  t.deepEqual(parseTokenLine(` ${line}\n`), { ...content, genesis, secret, redeemer: home.hostId });
  t.is(
    codeOf(() => parseTokenLine(line.slice(0, -9))),
    'INVITATION_INVALID incomplete',
  );
  t.is(
    codeOf(() => parseTokenLine(`${line.slice(0, 90)}${line[90] === 'A' ? 'B' : 'A'}${line.slice(91)}`)),
    'INVITATION_INVALID altered',
  );
  t.is(
    codeOf(() => parseTokenLine(line.replace('dst1', 'dst2'))),
    'INVITATION_INVALID version',
  );
  const other = makeDisk('other');
  const forged = createTokenLine({ ...content, genesis, secret, redeemer: home.hostId }, other.owner);
  t.is(
    codeOf(() => parseTokenLine(forged)),
    'INVITATION_INVALID forged',
  );
  t.is(
    codeOf(() => createTokenLine({ ...content, name: '../x', genesis, secret, redeemer: home.hostId }, owner)),
    'INVALID_ARGUMENT',
  );
});

test('garbage is refused as such', (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      t.regex(
        codeOf(() => parseTokenLine(`dst1${text}`)),
        /^INVITATION_INVALID /,
      );
    }),
  );
});

test('the redeeming host alone opens the secret in the roster; the roster has one encoding', (t) => {
  const { genesis, listed, home, office, token, secret } = lab();
  const again = verifyRoster(listed.bytes, genesis);
  t.deepEqual(again.tokens, [{ ...token, box: new Uint8Array(token.box) }]);
  t.deepEqual(unwrapSecret(again.tokens[0]!.box, home, genesis.disk), secret);
  t.is(tokenIdOf(secret), token.id);
  t.throws(() => unwrapSecret(again.tokens[0]!.box, office, genesis.disk), { code: 'FORMAT_INVALID' });
});

test('who was admitted is a member with the secret, and everybody who hears of it agrees', (t) => {
  const { genesis, listed, guests, admit, secret, token } = lab();
  const [one, two] = guests as [HostKeys, HostKeys];
  const roster = withAdmissions(listed, [admit(one, 1), admit(two, 2)]);
  t.deepEqual(memberOf(roster, two.hostId), { host: two.hostId, role: 'reader', token: { id: token.id, use: 2 } });
  const heard = verifyRoster(roster.bytes, genesis);
  t.deepEqual(heard.bytes, roster.bytes);
  t.deepEqual(openRosterSecret(heard, one), openRosterSecret(roster, two));
  t.is(memberOf(listed, one.hostId), null);
  t.notDeepEqual(openRosterSecret(heard, one), secret, 'the token opens nothing but the door');
});

test('no host beyond the last use counts, none by somebody else, by an unknown token, or for another secret', (t) => {
  const { listed, guests, admit, office, token } = lab(2);
  const [one, two, three] = guests as [HostKeys, HostKeys, HostKeys];
  const other = `${token.id.slice(1)}0` as typeof token.id;
  const roster = withAdmissions(listed, [
    admit(one, 1),
    admit(two, 3),
    admit(two, 2, office),
    admit(two, 2, undefined, other),
    admit(three, 2, undefined, undefined, new Uint8Array(32)),
  ]);
  t.deepEqual(
    roster.admissions.map(({ host }) => host),
    [one.hostId],
  );
});

test('of two hosts for one use one counts, the same everywhere, and a host counts once', (t) => {
  const { listed, guests, admit } = lab();
  const [one, two] = guests as [HostKeys, HostKeys];
  const rivals = [admit(one, 1), admit(two, 1), admit(one, 2)];
  const left = withAdmissions(withAdmissions(listed, rivals.slice(0, 1)), rivals);
  const right = withAdmissions(withAdmissions(listed, rivals.slice(1)), rivals);
  t.deepEqual(left.bytes, right.bytes);
  t.is(new Set(left.admissions.map(({ use }) => use)).size, left.admissions.length);
  t.is(new Set(left.admissions.map(({ host }) => host)).size, left.admissions.length);
});

test('rosters that heard of admissions in any order end the same', (t) => {
  const { listed, guests, admit } = lab(5);
  const admissions = guests.map((guest, index) => admit(guest, index + 1));
  fc.assert(
    fc.property(fc.shuffledSubarray(admissions), fc.shuffledSubarray(admissions), (some, others) => {
      const left = withAdmissions(listed, some);
      const right = withAdmissions(listed, others);
      const both = (current: Roster, offered: Roster) => takeRoster(current, offered).roster.bytes;
      t.deepEqual(both(left, right), both(right, left));
      const { verdict, roster } = takeRoster(left, right);
      t.is(verdict === 'newer', Buffer.compare(roster.bytes, left.bytes) !== 0);
    }),
  );
});

test('the owner who signs again makes them members for good, and counts their uses', (t) => {
  const { genesis, listed, guests, admit, owner, secret: _, random, stranger, token } = lab();
  const swarmSecret = openRosterSecret(listed, makeDisk().home);
  const [one, two, three] = guests as [HostKeys, HostKeys, HostKeys];
  const roster = withAdmissions(listed, [admit(one, 1), admit(two, 2)]);
  const next = grantMember(
    { genesis, roster, secret: swarmSecret, host: stranger.hostId, role: 'reader' },
    owner,
    random,
  );
  t.is(next.roster.admissions.length, 0);
  t.deepEqual(memberOf(next.roster, two.hostId)?.token, { id: token.id, use: 2 });
  t.is(next.roster.tokens[0]?.used, 2);
  // A use that was counted is none for another host; the next one is.
  const more = withAdmissions(next.roster, [admit(three, 1), admit(three, 3)]);
  t.deepEqual(
    more.admissions.map(({ use }) => use),
    [3],
  );
  // What was heard of later finds its place beside the newer record.
  t.deepEqual(takeRoster(next.roster, roster).verdict, 'stale');
  const late = withAdmissions(listed, [admit(one, 1), admit(two, 2), admit(three, 3)]);
  const taken = takeRoster(next.roster, late);
  t.is(taken.verdict, 'newer');
  t.is(memberOf(taken.roster, three.hostId)?.token?.use, 3);
});

test('a revoked host does not come back by an admission; a revoked token or redeeming host lets nobody in', (t) => {
  const { genesis, listed, guests, admit, owner, random, home, token } = lab();
  const swarmSecret = openRosterSecret(listed, home);
  const [one, two] = guests as [HostKeys, HostKeys];
  const roster = withAdmissions(listed, [admit(one, 1)]);
  const after = { epoch: 1, sequence: 1 };
  const without = revokeMember({ genesis, roster, host: one.hostId, after }, owner, random);
  const again = withAdmissions(without.roster, [admit(one, 2, home, token.id, without.secret)]);
  t.is(again.admissions.length, 0);
  t.truthy(memberOf(again, one.hostId)?.revoked);
  const closed = revokeToken({ genesis, roster, secret: swarmSecret, id: token.id }, owner, random).roster;
  t.is(withAdmissions(closed, [admit(two, 2)]).admissions.length, 0);
  t.is(memberOf(closed, one.hostId)?.revoked, undefined, 'who came by it stays');
  t.is(
    codeOf(() => revokeToken({ genesis, roster: closed, secret: swarmSecret, id: token.id }, owner, random)),
    'INVALID_ARGUMENT',
  );
  const headless = revokeMember({ genesis, roster: listed, host: home.hostId, after }, owner, random);
  t.is(withAdmissions(headless.roster, [admit(two, 2, home, token.id, headless.secret)]).admissions.length, 0);
});

test('a bundle with anything in it that does not count is refused, and so is one out of order', (t) => {
  const { genesis, listed, guests, admit, office } = lab();
  const [one, two] = guests as [HostKeys, HostKeys];
  const bundle = (...admissions: Uint8Array[]): Uint8Array => encodeCanonical({ admissions, roster: listed.signed });
  const good = [admit(one, 1).bytes, admit(two, 2).bytes];
  t.is(
    codeOf(() => verifyRoster(bundle(...good), genesis)),
    'no error',
  );
  t.is(
    codeOf(() => verifyRoster(bundle(...good.toReversed()), genesis)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => verifyRoster(bundle(), genesis)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => verifyRoster(bundle(admit(one, 1, office).bytes), genesis)),
    'FORMAT_INVALID',
  );
  const value = decodeCanonical(good[0]!, { maxBytes: 4096, what: 'admission' }) as { [key: string]: number };
  t.is(
    codeOf(() => verifyRoster(bundle(encodeCanonical({ ...value, use: 2 })), genesis)),
    'SIGNATURE_INVALID',
  );
});

test('tokens and admissions are bounded: void tokens make room, and what does not fit is LIMIT_EXCEEDED', (t) => {
  const { genesis, listed, owner, random, home, admit, token } = lab(1000);
  const swarmSecret = openRosterSecret(listed, home);
  const make = (expiresMs: number) =>
    newToken({ genesis, redeemer: home.hostId, role: 'reader', uses: 1, expiresMs }, random).token;
  let roster = listed;
  const add = (one = make(NOW_MS + 10)) => {
    roster = grantToken({ genesis, roster, secret: swarmSecret, token: one, nowMs: NOW_MS }, owner, random).roster;
  };
  for (let count = 1; count < MAX_TOKENS; count++) add(make(NOW_MS + (count === 5 ? 0 : 10)));
  add();
  t.is(roster.tokens.length, MAX_TOKENS);
  t.is(
    codeOf(() => add()),
    'LIMIT_EXCEEDED',
  );
  const seeds = new SeededRandom('many');
  const hosts = Array.from({ length: 900 }, () => createHostKeys(seeds));
  const many = hosts.map((host, index) => admit(host, index + 1));
  t.is(
    codeOf(() => withAdmissions(listed, many)),
    'LIMIT_EXCEEDED',
  );
  const some = withAdmissions(listed, many.slice(0, 500));
  t.true(some.bytes.length <= MAX_ROSTER_BYTES);
  t.is(some.admissions.at(-1)?.id, token.id);
});
