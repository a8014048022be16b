/** What a host believes of a disk: newest roster wins whatever the order, generations need the chain, all of it survives a power cut. */
import { DiskswarmError } from '@diskswarm/core';
import { createForce, createRelinquish, createSwarmSecret } from '@diskswarm/identity';
import { createSimulation } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { DiskRecords } from '../src/agent/disk-records.ts';
import { MetaTable } from '../src/agent/meta-table.ts';
import { generationAfter, keptBy, type OwnedDisk, ownedDisk } from './support/records.ts';

type Kept = Awaited<ReturnType<typeof keptBy>>;

function scenario(
  title: string,
  run: (t: ExecutionContext, disk: OwnedDisk, kept: Kept, restart: () => Promise<DiskRecords>) => Promise<void>,
): void {
  test(title, async (t) => {
    const simulation = createSimulation(1);
    await simulation.run(async () => {
      const host = simulation.host('home');
      const disk = ownedDisk(title);
      const restart = async (): Promise<DiskRecords> => {
        host.powerCut();
        return DiskRecords.load(await MetaTable.open(host.storage, 'meta.journal'), disk.home, disk.genesis.disk);
      };
      await run(t, disk, await keptBy(disk, disk.home, host.storage), restart);
    });
  });
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error instanceof DiskswarmError ? error.code : String(error);
  }
};

scenario(
  'of two rosters that come at once the newer one stays, in either order',
  async (t, disk, { records }, restart) => {
    const older = disk.rosterOf(2, { [disk.office.hostId]: 'writer' });
    const newer = disk.rosterOf(3, { [disk.hotel.hostId]: 'reader' });
    t.deepEqual(await Promise.all([records.offerRoster(newer.bytes), records.offerRoster(older.bytes)]), [
      'newer',
      'stale',
    ]);
    t.is(records.roster.sequence, 3);
    t.is((await restart()).roster.sequence, 3);
  },
);

scenario('a roster made of one that is not ours any more is refused by name', async (t, disk, { records }) => {
  const [one, other] = [
    disk.rosterOf(2, { [disk.office.hostId]: 'writer' }),
    disk.rosterOf(2, { [disk.hotel.hostId]: 'writer' }),
  ];
  t.true(await records.changeRoster(one.bytes));
  t.false(await records.changeRoster(one.bytes));
  t.is(await codeOf(records.changeRoster(other.bytes)), 'ROSTER_STALE');
  t.is(await codeOf(records.changeRoster(disk.rosterOf(1, {}).bytes)), 'ROSTER_STALE');
  t.deepEqual(records.roster.bytes, one.bytes);
});

scenario(
  'a new secret comes first, earlier ones stay for members who were away, five are too many',
  async (t, disk, { records }, restart) => {
    const secrets = Array.from({ length: 5 }, () => createSwarmSecret(disk.random));
    for (const [index, secret] of secrets.entries())
      await records.offerRoster(disk.rosterOf(index + 2, {}, secret).bytes);
    const expected = secrets.toReversed().slice(0, 4);
    t.deepEqual([...records.secrets], expected);
    t.deepEqual(
      [...(await restart()).secrets].map((secret) => Buffer.from(secret)),
      expected.map((secret) => Buffer.from(secret)),
    );
  },
);

scenario(
  'generations follow each other, are there after a power cut, and one place has one',
  async (t, disk, { records }, restart) => {
    const first = records.head;
    const second = generationAfter(disk, records.chain, disk.home, first);
    await records.offerGeneration(second.bytes);
    t.is(records.head?.id, second.id);
    const rival = generationAfter(disk, records.chain, disk.home, first, 'cd'.repeat(32));
    t.is(await codeOf(records.offerGeneration(rival.bytes)), 'GENERATION_UNTRUSTED');
    const stranger = generationAfter(disk, records.chain, disk.office, second);
    t.is(await codeOf(records.offerGeneration(stranger.bytes)), 'GENERATION_UNTRUSTED');
    const again = await restart();
    t.deepEqual(
      again.history().map(({ sequence }) => sequence),
      [1, 2],
    );
    t.is(again.head?.id, second.id);
    t.true(again.owned);
  },
);

scenario('epoch records that come at once are all kept', async (t, disk, { records }, restart) => {
  await records.offerRoster(disk.rosterOf(2, { [disk.office.hostId]: 'writer', [disk.hotel.hostId]: 'writer' }).bytes);
  const final = records.head!;
  const at = records.chain.current.head;
  const given = createRelinquish(
    disk.genesis,
    { at, to: disk.office.hostId, finalGeneration: final.id, finalSequence: 1, nonce: new Uint8Array(16) },
    disk.home,
  );
  const force = createForce(
    disk.genesis,
    {
      at: { previous: at.previous, epoch: 3 },
      to: disk.hotel.hostId,
      afterGeneration: final.id,
      afterSequence: 1,
      forkName: 'desk-fork-3',
    },
    disk.owner,
  );
  t.deepEqual(await Promise.all([records.offerEpochs([given.bytes]), records.offerEpochs([force.bytes])]), [
    true,
    true,
  ]);
  t.is(records.chain.current.owner, disk.hotel.hostId);
  t.is(records.chain.records.length, 3);
  const again = await restart();
  t.is(again.chain.records.length, 3);
  t.is(again.chain.current.forkName, 'desk-fork-3');
  t.false(again.owned);
  t.false(await again.offerEpochs([given.bytes, force.bytes]));
});

scenario('a generation of a fork does not count once the owner has named it', async (t, disk, { records }) => {
  await records.offerRoster(disk.rosterOf(2, { [disk.office.hostId]: 'writer' }).bytes);
  const first = records.head!;
  const beyond = generationAfter(disk, records.chain, disk.home, first);
  await records.offerGeneration(beyond.bytes);
  const { previous } = records.chain.current.head;
  const force = createForce(
    disk.genesis,
    { at: { previous, epoch: 2 }, to: disk.office.hostId, afterGeneration: first.id, afterSequence: 1, forkName: 'x' },
    disk.owner,
  );
  await records.offerEpochs([force.bytes]);
  t.is(records.head?.id, first.id);
  t.deepEqual(
    records.history().map(({ id }) => id),
    [first.id],
  );
  t.not(records.generation(beyond.id), null);
});

scenario('nothing of a forgotten disk is left in the table', async (t, _disk, { meta, records }) => {
  t.true(meta.keys('disk/').length > 3);
  await meta.commit(records.forget());
  t.deepEqual(meta.keys(''), []);
});
