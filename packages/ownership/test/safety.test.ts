/** When a host may be switched off, and when a copy may go. */
import {
  createForce,
  createReceipt,
  createRelinquish,
  createRoster,
  createSwarmSecret,
  forcePoint,
  type HostKeys,
  mergeEpochRecords,
  revokeMember,
  verifyEpochChain,
} from '@diskswarm/identity';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import { type DiskView, diskSafety, INITIAL_SOURCE, mayDropCopy, safeToSwitchOff } from '../src/index.ts';
import { firstGeneration, genesis, grant, keys, owner, sealAfter } from './disk.ts';

const [home, office, keeper] = keys as [HostKeys, HostKeys, HostKeys];
const random = new SeededRandom('safety');
const members = [home, office].map(({ hostId }) => ({ host: hostId, role: 'writer' as const }));
const roster = createRoster(
  {
    genesis,
    sequence: 2,
    members: [...members, { host: keeper.hostId, role: 'keeper' }],
    secret: createSwarmSecret(random),
  },
  owner,
  random,
);
const start = verifyEpochChain([grant], genesis, roster);
const content = {
  at: start.current.head,
  to: office.hostId,
  finalGeneration: firstGeneration.id,
  finalSequence: 1,
  nonce: random.bytes(16),
};
const relinquish = createRelinquish(genesis, content, home);
const chain = verifyEpochChain([grant, relinquish], genesis, roster);
const second = sealAfter(chain, office, firstGeneration);
const nonce = random.bytes(16);

/** Home after office took the disk: it knows the first generation and has a receipt for it. */
const atHome: DiskView = {
  disk: genesis.disk,
  name: 'laptop',
  chain,
  roster,
  source: INITIAL_SOURCE,
  hasData: true,
  overlayDirtyBytes: 0,
  newest: firstGeneration,
  receipts: [createReceipt(firstGeneration, nonce, office)],
};

test('a previous host may go once the owner, or a keeper, has all of what it knows', (t) => {
  t.deepEqual(diskSafety(atHome, home.hostId), { safe: true, reasons: [] });
  t.true(
    diskSafety({ ...atHome, receipts: [createReceipt(second, nonce, office)] }, home.hostId).safe,
    'a later one includes it',
  );
  t.true(diskSafety({ ...atHome, receipts: [createReceipt(firstGeneration, nonce, keeper)] }, home.hostId).safe);
  t.true(
    diskSafety({ ...atHome, hasData: false, newest: null, receipts: [] }, home.hostId).safe,
    'nothing was ever here',
  );
});

const force = createForce(
  genesis,
  {
    at: forcePoint(start, grant.id),
    to: home.hostId,
    afterGeneration: firstGeneration.id,
    afterSequence: 1,
    forkName: 'f',
  },
  owner,
);
const needed: [string, RegExp, Partial<DiskView>, HostKeys?][] = [
  [
    'it owns the disk',
    /owns the disk; hand it over/,
    { receipts: [createReceipt(firstGeneration, nonce, keeper)] },
    office,
  ],
  ['there is no receipt', /no receipt/, { receipts: [] }],
  ['the receipt is of an older generation', /no receipt/, { newest: second }],
  ['the receipt is its own', /no receipt/, { receipts: [createReceipt(firstGeneration, nonce, home)] }],
  [
    'the receipt is of a host that neither owns nor keeps',
    /no receipt/,
    { chain: mergeEpochRecords(chain, [force], genesis, roster) },
    keeper,
  ],
  [
    'the receipt is of a revoked host',
    /no receipt/,
    {
      roster: revokeMember({ genesis, roster, host: office.hostId, after: { epoch: 2, sequence: 9 } }, owner, random)
        .roster,
    },
  ],
  ['writes are in no generation', /4096 written bytes/, { overlayDirtyBytes: 4096 }],
  [
    'a hand-over is in doubt',
    /answer has not come/,
    { source: { phase: 'relinquished', relinquish, final: firstGeneration } },
  ],
  ['a hand-over is under way', /being handed over/, { source: { phase: 'holding', to: office.hostId, asker: null } }],
  ['its records are missing', /not known/, { chain: null }],
  ['it holds a fork', /fork/, { newest: second, chain: mergeEpochRecords(chain, [force], genesis, roster) }, office],
];
for (const [name, reason, part, host = home] of needed) {
  test(`a host is needed when ${name}`, (t) => {
    const safety = diskSafety({ ...atHome, ...part }, host.hostId);
    t.false(safety.safe);
    t.regex(safety.reasons.join(), reason);
  });
}

test('one disk that needs the host is enough, and is named', (t) => {
  const view = { host: home.hostId, disks: [atHome, { ...atHome, name: 'lab', receipts: [] }] };
  t.false(safeToSwitchOff(view).safe);
  t.regex(safeToSwitchOff(view).reasons.join(), /^lab: /);
  t.true(safeToSwitchOff({ host: home.hostId, disks: [] }).safe);
});

test('a copy is dropped only against a receipt asked for just before', (t) => {
  const view = { ...atHome, pinned: null, released: null };
  t.true(mayDropCopy(view, home.hostId, nonce).safe);
  t.false(mayDropCopy(view, home.hostId, random.bytes(16)).safe);
});

test('a keeper drops nothing before the owner has released it', (t) => {
  const pinned = { epoch: 1, sequence: 1 };
  t.regex(mayDropCopy({ ...atHome, pinned, released: null }, keeper.hostId, nonce).reasons.join(), /has not released/);
  t.true(mayDropCopy({ ...atHome, pinned, released: pinned }, keeper.hostId, nonce).safe);
});
