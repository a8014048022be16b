/** Who owned a disk when: chains that verify, forks, refusals, and records that nobody was entitled to sign. */
import test from 'ava';
import {
  createAcceptance,
  createForce,
  createGrant,
  createRefusal,
  createRelinquish,
  decodeEpochRecord,
  decodeVerdict,
  type EpochRecord,
  entryOf,
  forcePoint,
  MAX_REASON_BYTES,
  mergeEpochRecords,
} from '../src/index.ts';
import { chainOf, codeOf, generationIn, makeDisk, nextGeneration, relinquishTo } from './helpers.ts';

const disk = makeDisk();
const { genesis, roster, owner, home, office, hotel, stranger, grant, random } = disk;
const start = chainOf(disk, grant);
const first = generationIn(disk, start, home);
const toOffice = relinquishTo(disk, start, home, office, first);

test('ownership follows the relinquish records, whatever their order and repeats', (t) => {
  const second = chainOf(disk, grant, toOffice);
  const made = nextGeneration(disk, second, office, first);
  const toHotel = relinquishTo(disk, second, office, hotel, made);
  const chain = chainOf(disk, toHotel, grant, toOffice, grant);
  t.deepEqual(
    chain.entries.map(({ owner, epoch }) => [owner, epoch]),
    [
      [home.hostId, 1],
      [office.hostId, 2],
      [hotel.hostId, 3],
    ],
  );
  t.is(chain.current.owner, hotel.hostId);
  t.is(chain.records.length, 3);
  t.deepEqual(entryOf(chain, toOffice.id)?.after, { generation: first.id, sequence: 1 });
  t.deepEqual(entryOf(chain, toOffice.id)?.until, { generation: made.id, sequence: 2 });
});

test('every record survives its bytes and fails with another signer', (t) => {
  const refusal = createRefusal(genesis, toOffice, { code: 'DISK_FULL', reason: 'no room' }, office);
  const acceptance = createAcceptance(genesis, toOffice, office);
  const force = createForce(
    genesis,
    {
      at: forcePoint(start, grant.id),
      to: hotel.hostId,
      afterGeneration: first.id,
      afterSequence: 1,
      forkName: 'lost-laptop',
    },
    owner,
  );
  for (const record of [grant, toOffice, refusal, force]) t.deepEqual(decodeEpochRecord(record.bytes, genesis), record);
  t.deepEqual(decodeVerdict(acceptance.bytes, genesis), acceptance);
  t.is(
    codeOf(() => decodeEpochRecord(acceptance.bytes, genesis)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => decodeVerdict(toOffice.bytes, genesis)),
    'FORMAT_INVALID',
  );
  const other = makeDisk('other');
  t.is(
    codeOf(() => decodeEpochRecord(other.grant.bytes, genesis)),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => createGrant(genesis, home.hostId, other.owner)),
    'SIGNATURE_INVALID',
  );
  for (const { bytes } of [grant, toOffice, refusal, force]) {
    for (let position = 0; position < bytes.length; position += 3) {
      const code = codeOf(() => decodeEpochRecord(bytes.with(position, bytes[position]! ^ 1), genesis));
      t.true(['FORMAT_INVALID', 'SIGNATURE_INVALID'].includes(code), `byte ${position}: ${code}`);
    }
  }
});

test('a reason is cut at its limit, between characters', (t) => {
  const refusal = createRefusal(genesis, toOffice, { code: 'X', reason: '\u{1f4be}'.repeat(400) }, office);
  t.is(refusal.reason, '\u{1f4be}'.repeat(MAX_REASON_BYTES / 4));
});

test('after a refusal the source owns the disk again, and the refused epoch is spent', (t) => {
  const refusal = createRefusal(genesis, toOffice, { code: 'DISK_FULL', reason: 'no room' }, office);
  const chain = chainOf(disk, grant, toOffice, refusal);
  t.is(chain.current.owner, home.hostId);
  t.is(chain.current.epoch, 1);
  t.is(chain.current.until, null);
  t.true(entryOf(chain, toOffice.id)?.refused);
  const later = nextGeneration(disk, chain, home, first);
  const again = relinquishTo(disk, chain, home, office, later);
  t.is(again.epoch, 3);
  t.is(chainOf(disk, grant, toOffice, refusal, again).current.owner, office.hostId);
});

const bad: [string, () => EpochRecord[]][] = [
  ['nothing', () => []],
  ['no grant', () => [toOffice]],
  ['a gap', () => [grant, relinquishTo(disk, chainOf(disk, grant, toOffice), office, hotel, first)]],
  ['a relinquish by a host that owns nothing', () => [grant, relinquishTo(disk, start, office, hotel, first)]],
  ['a relinquish to a stranger', () => [grant, relinquishTo(disk, start, home, stranger, first)]],
  ['a relinquish to itself', () => [grant, relinquishTo(disk, start, home, home, first)]],
  [
    'a refusal by a host that was offered nothing',
    () => [grant, toOffice, createRefusal(genesis, toOffice, { code: 'X', reason: '' }, hotel)],
  ],
  [
    'a skipped epoch',
    () => [
      grant,
      createRelinquish(
        genesis,
        {
          at: { previous: grant.id, epoch: 7 },
          to: office.hostId,
          finalGeneration: first.id,
          finalSequence: 1,
          nonce: random.bytes(16),
        },
        home,
      ),
    ],
  ],
  [
    'an epoch that ends before it began',
    () => {
      const chain = chainOf(
        disk,
        grant,
        createRelinquish(
          genesis,
          {
            at: start.current.head,
            to: office.hostId,
            finalGeneration: first.id,
            finalSequence: 9,
            nonce: random.bytes(16),
          },
          home,
        ),
      );
      return [...chain.records, relinquishTo(disk, chain, office, hotel, first)];
    },
  ],
];
for (const [name, records] of bad) {
  test(`a chain is refused: ${name}`, (t) => {
    t.is(
      codeOf(() => chainOf(disk, ...records())),
      'GENERATION_UNTRUSTED chain',
    );
  });
}

test('two records for one epoch are a conflict, and a forced take-over names the fork that ends it', (t) => {
  const toHotel = relinquishTo(disk, start, home, hotel, first);
  const error = t.throws(() => chainOf(disk, grant, toOffice, toHotel), {
    code: 'EPOCH_CONFLICT',
  } as object) as unknown as { data: { previous: typeof grant.id; epoch: number; records: string[] } };
  t.deepEqual(new Set(error.data.records), new Set([toOffice.id, toHotel.id]));
  const force = createForce(
    genesis,
    { at: error.data, to: hotel.hostId, afterGeneration: first.id, afterSequence: 1, forkName: 'hotel-wins' },
    owner,
  );
  const chain = chainOf(disk, grant, toOffice, toHotel, force);
  t.is(chain.current.owner, hotel.hostId);
  t.is(chain.current.epoch, 3);
  t.is(chain.current.forkName, 'hotel-wins');
  t.deepEqual(new Set(chain.forks.map(({ id }) => id)), new Set([toOffice.id, toHotel.id]));
});

test('a forced take-over counts over a relinquish that nobody had seen, and over what followed it', (t) => {
  const at = forcePoint(start, grant.id);
  const force = createForce(
    genesis,
    { at, to: hotel.hostId, afterGeneration: first.id, afterSequence: 1, forkName: 'f1' },
    owner,
  );
  const seen = chainOf(disk, grant, toOffice);
  const beyond = relinquishTo(disk, seen, office, home, nextGeneration(disk, seen, office, first));
  const chain = mergeEpochRecords(chainOf(disk, grant, toOffice, beyond), [force], genesis, roster);
  t.is(chain.current.owner, hotel.hostId);
  t.is(chain.forks.length, 2);
  t.is(chain.highestEpoch, 3);
  t.is(forcePoint(chain, grant.id).epoch, 4, 'the next one goes beyond every epoch known');
});

test('of two forced take-overs the later epoch counts; two of one epoch are a conflict', (t) => {
  const at = { previous: grant.id, epoch: 2 };
  const common = { afterGeneration: first.id, afterSequence: 1 };
  const left = createForce(genesis, { ...common, at, to: office.hostId, forkName: 'left' }, owner);
  const right = createForce(genesis, { ...common, at, to: hotel.hostId, forkName: 'right' }, owner);
  t.is(
    codeOf(() => chainOf(disk, grant, left, right)),
    'EPOCH_CONFLICT',
  );
  const later = createForce(
    genesis,
    { ...common, at: { previous: left.id, epoch: 3 }, to: office.hostId, forkName: 'later' },
    owner,
  );
  t.is(chainOf(disk, grant, left, right, later).current.authority, later.id);
});

test('a long chain verifies in one pass', (t) => {
  const records: EpochRecord[] = [grant];
  let at = start.current.head;
  for (let count = 0; count < 400; count++) {
    const [from, to] = count % 2 === 0 ? [home, office] : [office, home];
    const record = createRelinquish(
      genesis,
      { at, to: to.hostId, finalGeneration: first.id, finalSequence: 1, nonce: random.bytes(16) },
      from,
    );
    at = { previous: record.id, epoch: record.epoch + 1 };
    records.push(record);
  }
  t.is(chainOf(disk, ...records.toReversed()).current.epoch, 401);
});
