/** Invitations: of use to one host, whole or refused with the reason. */
import test from 'ava';
import fc from 'fast-check';
import {
  createHostKeys,
  createInvitation,
  createRelinquish,
  createRoster,
  type EpochRecord,
  type InvitationContent,
  MAX_EPOCH_RECORDS,
  MAX_INVITATION_CHARS,
  MAX_MEMBERS,
  parseInvitation,
  revokeMember,
} from '../src/index.ts';
import { chainOf, codeOf, generationIn, makeDisk } from './helpers.ts';

const disk = makeDisk();
const { genesis, roster, owner, home, office, hotel, stranger, secret, grant, random } = disk;
const content: InvitationContent = {
  genesis,
  roster,
  epochs: [grant],
  trackers: ['http://tracker.example:6969/announce'],
  addresses: ['192.0.2.7:4711', '[2001:db8::7]:4711'],
  name: 'laptop',
  host: office.hostId,
};
const line = createInvitation(content, owner);

test('the invited host reads all of it, secret included', (t) => {
  t.regex(line, /^dsw1[A-Za-z0-9_-]+$/);
  t.deepEqual(parseInvitation(`  ${line}\n`, office), { ...content, secret });
});

test('it is useless to every other host', (t) => {
  t.is(
    codeOf(() => parseInvitation(line, hotel)),
    'INVITATION_INVALID foreign',
  );
  t.is(
    codeOf(() => parseInvitation(line, stranger)),
    'INVITATION_INVALID foreign',
  );
});

test('a line that was cut says so, wherever it was', (t) => {
  for (let length = 4; length < line.length; length += 11) {
    t.is(
      codeOf(() => parseInvitation(line.slice(0, length), office)),
      'INVITATION_INVALID incomplete',
    );
  }
});

test('any changed character is found', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 4, max: line.length - 2 }), fc.constantFrom('A', 'b', '7', '_'), (at, character) => {
      fc.pre(line[at] !== character);
      return codeOf(() => parseInvitation(line.slice(0, at) + character + line.slice(at + 1), office)).startsWith(
        'INVITATION_INVALID',
      );
    }),
  );
  t.pass();
});

const refused: [string, string, () => string][] = [
  ['no invitation at all', 'malformed', () => 'hello'],
  ['an empty line', 'malformed', () => ''],
  ['other characters', 'malformed', () => `${line}?`],
  ['a later version', 'version', () => line.replace('dsw1', 'dsw2')],
  ['more behind it', 'altered', () => `${line}AAAA`],
  ['one character too many', 'altered', () => `${line}x`],
  ['a line without end', 'too-long', () => line.padEnd(MAX_INVITATION_CHARS + 1, 'A')],
  ['the signature of another person', 'forged', () => createInvitation(content, makeDisk('other').owner)],
];
for (const [name, reason, make] of refused) {
  test(`refused: ${name}`, (t) => {
    t.is(
      codeOf(() => parseInvitation(make(), office)),
      `INVITATION_INVALID ${reason}`,
    );
  });
}

test('nobody is invited whom the roster does not list, or with places that are none', (t) => {
  t.is(
    codeOf(() => createInvitation({ ...content, host: stranger.hostId }, owner)),
    'ROLE_FORBIDS',
  );
  const revoked = revokeMember(
    { genesis, roster, host: office.hostId, after: { epoch: 1, sequence: 1 } },
    owner,
    random,
  );
  t.is(
    codeOf(() => createInvitation({ ...content, roster: revoked.roster }, owner)),
    'REVOKED',
  );
  for (const wrong of [
    { addresses: ['nowhere'] },
    { trackers: ['not a url'] },
    { name: 'No Name' },
    { trackers: Array(17).fill('http://t/') },
  ]) {
    t.is(
      codeOf(() => createInvitation({ ...content, ...wrong }, owner)),
      'INVALID_ARGUMENT',
    );
  }
});

test('a full roster fits together with the longest history, and what does not fit is refused', (t) => {
  const hosts = Array.from({ length: MAX_MEMBERS - 2 }, () => createHostKeys(random).hostId);
  const members = [home.hostId, office.hostId, ...hosts].map((host) => ({ host, role: 'writer' as const }));
  const full = createRoster({ genesis, sequence: 2, members, secret }, owner, random);
  t.deepEqual(
    parseInvitation(createInvitation({ ...content, roster: full, epochs: [] }, owner), office).secret,
    secret,
  );
  const start = chainOf(disk, grant);
  const first = generationIn(disk, start, home);
  const record = createRelinquish(
    genesis,
    { at: start.current.head, to: office.hostId, finalGeneration: first.id, finalSequence: 1, nonce: random.bytes(16) },
    home,
  );
  const history = (length: number): EpochRecord[] => [grant, ...Array<EpochRecord>(length - 1).fill(record)];
  const longest = createInvitation({ ...content, roster: full, epochs: history(MAX_EPOCH_RECORDS) }, owner);
  t.is(parseInvitation(longest, office).epochs.length, MAX_EPOCH_RECORDS);
  t.is(
    codeOf(() => createInvitation({ ...content, epochs: history(2 * MAX_EPOCH_RECORDS) }, owner)),
    'LIMIT_EXCEEDED',
  );
});
