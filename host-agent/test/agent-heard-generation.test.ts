/** A generation that is not here and was heard of at a tracker: by who joins late, and by an owner whose state was set back. */
import { createAnnounceBlob, createRoster, openAnnounceBlob } from '@diskswarm/identity';
import { createSimulation } from '@diskswarm/sim';
import test from 'ava';
import { HeardGeneration } from '../src/agent/heard-generation.ts';
import { never, withHost } from './support/agent.ts';
import { generationAfter, keptBy, ownedDisk } from './support/records.ts';

async function withRecords(
  seed: number,
  scenario: (at: Awaited<ReturnType<typeof setUp>>) => Promise<void>,
): Promise<void> {
  const simulation = createSimulation(seed);
  await simulation.run(async () => scenario(await setUp(simulation.host('home').storage, simulation.seed)));
}

async function setUp(storage: Parameters<typeof keptBy>[2], seed: string) {
  const disk = ownedDisk(seed);
  const { meta, records } = await keptBy(disk, disk.home, storage);
  const second = generationAfter(disk, records.chain, disk.home, records.head);
  const third = generationAfter(disk, records.chain, disk.home, second);
  const blobOf = (generation: typeof second, secret = disk.secret): Uint8Array =>
    createAnnounceBlob(generation, secret, disk.random)!;
  return { disk, meta, records, second, third, blobOf };
}

test('what was heard of is remembered over a restart, warned of, and no news once it is here', (t) =>
  withRecords(1, async ({ disk, meta, records, second, third, blobOf }) => {
    const { heard } = records;
    t.false(await heard.hear(blobOf(records.head!), disk.secret), 'known here');
    t.true(await heard.hear(blobOf(third), disk.secret));
    t.false(await heard.hear(blobOf(second), disk.secret), 'older than what was heard of');
    t.is(heard.newer?.sequence, 3);
    t.is(new HeardGeneration(meta, records).newer?.sequence, 3);
    t.throws(() => heard.assertNone('desk'), { code: 'GENERATION_BEHIND', message: /generation 3 .*here is only 1/ });
    // Passed on with our own announces.
    const passedOn = openAnnounceBlob(heard.blob(disk.secret, disk.random)!, disk.secret, disk.genesis.disk);
    t.is(passedOn.id, third.id);
    await records.offerGeneration(second.bytes);
    await records.offerGeneration(third.bytes);
    t.is(heard.newer, null);
    heard.assertNone('desk');
  }));

test('what no writer signed, or a revoked one after it was revoked, worries nobody; nor does what another secret seals', (t) =>
  withRecords(2, async ({ disk, records, second, third, blobOf }) => {
    const forged = generationAfter(disk, records.chain, disk.hotel, records.head);
    t.false(await records.heard.hear(blobOf(forged), disk.secret));
    await t.throwsAsync(records.heard.hear(blobOf(second, new Uint8Array(32)), disk.secret), {
      code: 'FORMAT_INVALID',
    });
    await t.throwsAsync(records.heard.hear(new Uint8Array(500), disk.secret), { code: 'FORMAT_INVALID' });
    t.true(await records.heard.hear(blobOf(third), disk.secret));
    const { genesis, home, office, owner, secret, random } = disk;
    const revoked = { epoch: 1, sequence: 1 };
    const members = [
      { host: home.hostId, role: 'writer', revoked },
      { host: office.hostId, role: 'writer' },
    ] as const;
    await records.offerRoster(createRoster({ genesis, sequence: 9, members, secret }, owner, random).bytes);
    t.is(records.heard.newer, null);
  }));

test('an owner whose state was set back does not write on top of it; reading is told what it misses', (t) =>
  withHost(3, async (host) => {
    await host.import((piece) => piece % 7);
    const { records } = host.disk;
    const later = generationAfter(host.records, records.chain, host.records.home, records.head);
    await records.heard.hear(createAnnounceBlob(later, host.records.secret, host.records.random)!, host.records.secret);
    const context = { ...never, emit: () => {} };
    await t.throwsAsync(host.attach(), { code: 'GENERATION_BEHIND' });
    const { warning } = await host.handlers['disk.attach']({ name: 'desk', readOnly: true, socket: null }, context);
    t.regex(warning ?? '', /this is generation 1: trackers tell of generation 2/);
    const info = await host.handlers['disk.info']({ name: 'desk' }, context);
    t.is(info.newerGeneration?.sequence, 2);
  }));
