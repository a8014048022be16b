/** Templates and clones over simulated agents: what is written, where pieces come from, and what is refused. */
import { PRIORITY, pieceIndex } from '@diskswarm/core';
import { createGenesis, createGrant, firstRoster } from '@diskswarm/identity';
import { createSimulation, SeededRandom, withSimulatedGlobals } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { assertNotNeeded } from '../src/agent/clone-disk.ts';
import { diskInfo } from '../src/agent/disk-status.ts';
import type { ManagedDisk } from '../src/agent/managed-disk.ts';
import { never, type OneHost, PIECE_BYTES, PIECES } from './support/agent.ts';
import { clone, publish, retire, wantedClone } from './support/clones.ts';

const filled = (piece: number): number => (piece % 7 === 0 ? 0 : 1 + (piece % 200));

interface Two {
  readonly home: OneHost;
  readonly office: OneHost;
  /** The template's disk at office, which has nothing of it yet. */
  readonly copy: ManagedDisk;
}

/** Home has a disk with a template, office is a member that fetched nothing. */
function twoHosts(title: string, seed: number, run: (t: ExecutionContext, two: Two) => Promise<void>): void {
  test(title, async (t) => {
    const simulation = createSimulation(seed);
    await withSimulatedGlobals(simulation, async () => {
      const { OneHost } = await import('./support/agent.ts');
      await simulation.run(async () => {
        const home = new OneHost(simulation);
        const office = new OneHost(simulation, 'office');
        await home.agent.start();
        await office.agent.start();
        await home.import(filled);
        await publish(home);
        const copy = await office.join();
        await copy.changed.until(() => copy.content.head !== null && copy.templates.list !== null, never);
        await run(t, { home, office, copy });
        await office.agent.stop();
        await home.agent.stop();
      });
    });
  });
}

async function reads(t: ExecutionContext, host: OneHost, piece: number, fill: number): Promise<void> {
  t.deepEqual(await host.read(piece), new Uint8Array(16).fill(fill), `piece ${piece}`);
}

twoHosts('a clone reads through its template, and both keep what came', 1, async (t, { office, copy }) => {
  const before = office.agent.env.store.stats();
  const disk = await clone(office, 'mine');
  t.is(office.agent.env.store.stats().bytes - before.bytes, 0, 'nothing is stored to make a clone');
  t.not(disk.disk, copy.disk);
  await disk.attach({ readOnly: false, socket: null });
  for (const piece of [0, 3, 7, 260]) await reads(t, office, piece, filled(piece));
  t.true(copy.content.head!.has(pieceIndex(3)), 'the template has what its clone fetched');
  t.true(disk.content.head!.has(pieceIndex(3)));
  t.false(disk.content.head!.complete, 'what nobody touches is not fetched');
  t.like((await diskInfo(disk)).base, { diskId: copy.disk, name: copy.name, sequence: 1, independent: false });
});

twoHosts('a clone is written and sealed over, and stays what it is after a crash', 2, async (t, { office, copy }) => {
  const disk = await clone(office, 'mine');
  await disk.attach({ readOnly: false, socket: null });
  await office.write(3, 0xee);
  const { generation } = await disk.seal(never);
  t.is(generation.sequence, 2);
  t.is(generation.base?.disk, copy.disk);
  await office.restart();
  const again = office.agent.disk('mine');
  t.is(again.base.disk, office.agent.disk(copy.name));
  await reads(t, office, 3, 0xee);
  await reads(t, office, 4, filled(4));
  await reads(t, office, 261, filled(261));
  // The rest of the written piece is the template's.
  const whole = await office.read(3, PIECE_BYTES);
  t.deepEqual([...new Set(whole.subarray(0, 4096))], [0xee]);
  t.deepEqual([...new Set(whole.subarray(4096))], [filled(3)]);
});

twoHosts('a clone that was pulled is independent: its template may go', 3, async (t, { home, office, copy }) => {
  const disk = await clone(office, 'mine');
  t.throws(() => assertNotNeeded(copy, office.agent.disks), { code: 'TEMPLATE_IN_USE' });
  await disk.completion.complete(never);
  t.true((await diskInfo(disk)).base?.independent);
  await retire(home, home.disk.records.head!);
  await copy.changed.until(() => copy.templates.active.length === 0, never);
  t.notThrows(() => assertNotNeeded(copy, office.agent.disks));
  await office.agent.remove(copy, null);
  await office.restart();
  const again = office.agent.disk('mine');
  t.true(again.content.head?.complete);
  for (let piece = 0; piece < PIECES; piece++) {
    const bytes = await again.chunks.read(again.content.head!, pieceIndex(piece), PRIORITY.bulk, never);
    t.is(bytes?.[5] ?? 0, filled(piece));
  }
});

twoHosts(
  'a template that is retired makes no more clones, and those there are go on',
  4,
  async (t, { home, office, copy }) => {
    const generation = home.disk.records.head!;
    t.throws(() => assertNotNeeded(home.disk, home.agent.disks), { code: 'TEMPLATE_PINNED' });
    const disk = await clone(office, 'mine');
    await disk.attach({ readOnly: false, socket: null });
    await reads(t, office, 1, filled(1));
    await retire(home, generation);
    await copy.changed.until(() => copy.templates.active.length === 0, never);
    t.throws(() => copy.templates.templateAt(null), { code: 'TEMPLATE_NOT_FOUND' });
    t.throws(() => copy.templates.templateAt(1), { code: 'TEMPLATE_NOT_FOUND', message: /retired/ });
    t.notThrows(() => assertNotNeeded(home.disk, home.agent.disks));
    await reads(t, office, 2, filled(2));
  },
);

twoHosts('a template stays what it was while its disk is written on', 5, async (t, { home, office, copy }) => {
  await home.attach();
  await home.write(5, 0xdd);
  const { generation } = await home.disk.seal(never);
  await copy.changed.until(() => copy.content.head?.subject.generation === generation.id, never);
  t.is(copy.templates.templateAt(null).sequence, 1);
  const disk = await clone(office, 'mine');
  await disk.attach({ readOnly: false, socket: null });
  await reads(t, office, 5, filled(5));
  t.is((await diskInfo(disk)).base?.sequence, 1);
});

twoHosts('a piece that nobody has is waited for, said, and comes when its holder is back', 6, async (t, two) => {
  const { home, office, copy } = two;
  const disk = await clone(office, 'mine');
  await home.agent.stop();
  await copy.changed.until(() => copy.peers.links().length === 0, never);
  await disk.attach({ readOnly: false, socket: null });
  const reading = reads(t, office, 9, filled(9));
  const { clock } = office.machine;
  await new Promise<void>((resolve) => void clock.setTimer(10_000, resolve));
  t.is((await diskInfo(disk)).base?.waitingPieces, 1);
  t.true(office.warnings.some((warning) => /waits for piece 9 of its template "desk"/.test(warning)));
  await home.restart();
  await reading;
  t.is((await diskInfo(disk)).base?.waitingPieces, 0);
});

twoHosts('a disk that names a base without right to it gets nothing of it', 7, async (t, { home, office, copy }) => {
  await copy.completion.complete(never);
  // A stranger's disk, signed by nobody whom the template admits, with the template's root as its own.
  const stranger = new SeededRandom('stranger');
  const { hotel, owner } = home.records;
  const genesis = createGenesis(owner, PIECE_BYTES, stranger);
  const { roster } = firstRoster(genesis, hotel.hostId, owner, stranger);
  const { grantMember, createGeneration, createInvitation, verifyEpochChain } = await import('@diskswarm/identity');
  const { secret } = firstRoster(genesis, hotel.hostId, owner, stranger);
  const change = { genesis, roster, secret, host: office.agent.env.hostId, role: 'writer' as const };
  const invited = grantMember(change, owner, stranger).roster;
  const grant = createGrant(genesis, hotel.hostId, owner);
  const chain = verifyEpochChain([grant], genesis, invited);
  const content = { genesis, roster: invited, epochs: [grant], trackers: [], addresses: [], name: 'lure' };
  const lure = await office.agent.join(createInvitation({ ...content, host: office.agent.env.hostId }, owner), null);
  const { head } = copy.records;
  const base = { disk: copy.disk, generation: head!.id };
  const first = createGeneration(
    {
      ...{ disk: genesis.disk, epoch: 1, authority: chain.current.authority, sequence: 1, parent: base, base },
      ...{ root: head!.root, sizeBytes: head!.sizeBytes, kept: true, wallMs: 0 },
    },
    hotel,
  );
  await lure.records.offerGeneration(first.bytes);
  await lure.content.adopt(() => lure.records.head);
  await t.throwsAsync(
    lure.chunks.read(lure.content.head!, pieceIndex(1), PRIORITY.bulk, { signal: AbortSignal.abort() }),
    { code: 'ABORTED' },
  );
  t.is(lure.base.disk, null);
  t.is(lure.content.head!.piecesPresent, 0);
  t.false(office.agent.env.store.has(head!.root, lure.disk), 'not even a page of the template');
});

twoHosts('a clone with chunks of another size, or under a name that is taken, is refused', 8, async (t, { office }) => {
  const wanted = wantedClone(office, 'mine');
  const { owner, random } = office.records;
  const { hostId } = office.agent.env;
  const genesis = createGenesis(owner, 65_536, random);
  const { roster } = firstRoster(genesis, hostId, owner, random);
  const epochs = [createGrant(genesis, hostId, owner).bytes];
  const records = { genesis: genesis.bytes, roster: roster.bytes, epochs };
  await t.throwsAsync(office.agent.clone({ ...wanted, records }), { code: 'BAD_CHUNK_SIZE' });
  const making = office.agent.clone(wanted);
  await t.throwsAsync(office.agent.clone(wantedClone(office, 'mine')), { code: 'NAME_EXISTS' });
  t.is((await making).name, 'mine');
});

twoHosts('a crash at any moment leaves a whole clone or none', 9, async (t, { home, office, copy }) => {
  const { clock } = home.machine;
  const known = new Set<boolean>();
  for (const delayMs of [0, 0.02, 0.1, 0.5, 1, 2, 5, 20]) {
    const name = `clone-${delayMs * 100}`;
    clone(office, name, office.agent.disk(copy.name)).catch(() => {});
    await new Promise<void>((resolve) => void clock.setTimer(delayMs, resolve));
    await office.restart('power cut');
    const made = office.agent.disks.some((disk) => disk.name === name);
    known.add(made);
    if (!made) await clone(office, name, office.agent.disk(copy.name));
    await office.agent.disk(name).attach({ readOnly: false, socket: null });
    await reads(t, office, 11, filled(11));
    await office.agent.disk(name).detach();
  }
  t.deepEqual([...known].sort(), [false, true], 'both happened');
});
