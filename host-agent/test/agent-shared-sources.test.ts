/** Hosts that start clones of one template at the same time: each piece leaves its only holder about once. */
import { PRIORITY, pieceIndex } from '@diskswarm/core';
import { createInvitation } from '@diskswarm/identity';
import { createSimulation, withSimulatedGlobals } from '@diskswarm/sim';
import test from 'ava';
import { never, type OneHost } from './support/agent.ts';
import { clone, publish } from './support/clones.ts';

const filled = (piece: number): number => 1 + (piece % 200);

/** Home holds the template, office and hotel have clones of it and nothing else; all know each other. */
async function threeHosts(
  seed: number,
  run: (home: OneHost, labs: readonly OneHost[]) => Promise<void>,
): Promise<void> {
  const simulation = createSimulation(seed);
  await withSimulatedGlobals(simulation, async () => {
    const { OneHost } = await import('./support/agent.ts');
    await simulation.run(async () => {
      const home = new OneHost(simulation);
      const { genesis, grant, office, hotel, owner, rosterOf } = home.records;
      const labs = [new OneHost(simulation, 'office'), new OneHost(simulation, 'hotel', hotel)];
      const hosts = [home, ...labs];
      for (const host of hosts) await host.agent.start();
      await home.import(filled);
      const roster = rosterOf(2, { [office.hostId]: 'writer', [hotel.hostId]: 'reader' });
      await home.disk.applyRoster(roster.bytes);
      await publish(home);
      for (const { agent } of labs) {
        const places = { trackers: [], addresses: ['home:7000', 'office:7000', 'hotel:7000'], name: 'desk' };
        const content = { genesis, roster, epochs: [grant], ...places, host: agent.env.hostId };
        await agent.join(createInvitation(content, owner), null);
      }
      for (const { disk } of hosts) await disk.changed.until(() => disk.peers.links().length === 2, never);
      for (const { disk } of labs) {
        await disk.changed.until(() => disk.templates.list !== null && disk.content.head !== null, never);
      }
      await run(home, labs);
      for (const host of hosts) await host.agent.stop();
    });
  });
}

const PIECES_READ = 120;

/** All labs read the first pieces in the same order at the same time. */
async function readTogether(labs: readonly OneHost[]): Promise<boolean> {
  const same = await Promise.all(
    labs.map(async (lab) => {
      const mine = lab.agent.disk('mine');
      for (let piece = 0; piece < PIECES_READ; piece++) {
        const bytes = await mine.chunks.read(mine.content.head!, pieceIndex(piece), PRIORITY.fault, never);
        if (bytes?.[9] !== filled(piece)) return false;
      }
      return true;
    }),
  );
  return same.every(Boolean);
}

test('what two hosts need at once leaves the seed about once', async (t) => {
  await threeHosts(1, async (home, labs) => {
    for (const lab of labs) await clone(lab, 'mine');
    t.true(await readTogether(labs));
    const { chunks } = home.disk.statistics.servedChunks;
    t.true(chunks >= PIECES_READ && chunks <= PIECES_READ * 1.1, `${chunks} chunks left the seed for ${PIECES_READ}`);
  });
});

test('a host without clones fetches nothing for others', async (t) => {
  await threeHosts(2, async (home, labs) => {
    const [office, hotel] = labs as [OneHost, OneHost];
    await clone(office, 'mine');
    t.true(await readTogether([office]));
    t.is(hotel.disk.content.head!.piecesPresent, 0);
    t.is(home.disk.statistics.servedChunks.chunks, PIECES_READ);
  });
});

test('a host that was to fetch for others and ends does not hold them up', async (t) => {
  await threeHosts(3, async (_home, labs) => {
    for (const lab of labs) await clone(lab, 'mine');
    const reading = readTogether([labs[0]!]);
    labs[1]!.machine.crash();
    t.true(await reading);
    await labs[1]!.restart();
  });
});

test('what one guest touched is fetched for the other ones before they ask', async (t) => {
  await threeHosts(4, async (_home, labs) => {
    const [office, hotel] = labs as [OneHost, OneHost];
    for (const lab of labs) await (await clone(lab, 'mine')).attach({ readOnly: false, socket: null });
    for (let piece = 40; piece > 0; piece--) await office.read(piece);
    const view = hotel.disk.content.head!;
    const first = Array.from({ length: 32 }, (_, index) => pieceIndex(40 - index));
    await hotel.disk.changed.until(() => first.every((piece) => view.has(piece)), never);
    t.deepEqual(hotel.disk.statistics.faults().count, 0, 'no guest waited for it there');
    await hotel.agent.disk('mine').detach();
  });
});
