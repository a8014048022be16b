/** The export of a disk as its user meets it: what was acknowledged stays, whatever is asked at the same time. */
import { DiskswarmError } from '@diskswarm/core';
import { createForce, createInvitation, createRefusal, createRoster } from '@diskswarm/identity';
import test from 'ava';
import { NAME, never, PIECES, withHost } from './support/agent.ts';

test('asking for the status while a disk is attached costs no write that was acknowledged', async (t) => {
  await withHost(1, async (host) => {
    const disk = await host.import((piece) => (piece % 3) + 1);
    await host.attach();
    for (let piece = 0; piece < 20; piece++) await host.write(piece, 0x40 + piece);
    await disk.detach();
    const counted = [disk.attachment.dirtyBytes(), disk.attachment.dirtyBytes()];
    await host.attach();
    for (let piece = 0; piece < 40; piece++) await host.write(piece, 0x80 + piece);
    t.deepEqual(await Promise.all(counted), [20 * 4096, 20 * 4096]);
    await host.attachment.view.flush();
    await host.restart('power cut');
    for (let piece = 0; piece < 40; piece++) t.deepEqual(await host.read(piece), new Uint8Array(16).fill(0x80 + piece));
    t.is((await host.handlers['disk.info']({ name: NAME }, {} as never)).overlayDirtyBytes, 40 * 4096);
  });
});

test('a read-only export shows the generation it was opened with, also after a seal', async (t) => {
  await withHost(2, async (host) => {
    const disk = await host.import(() => 1);
    await host.attach();
    await host.write(7, 2);
    await host.write(PIECES - 1, 2);
    await disk.detach();
    await host.attach(true);
    t.deepEqual(await host.read(6), new Uint8Array(16).fill(1));
    t.is((await disk.seal(never)).changedPieces, 2);
    for (const piece of [7, PIECES - 1])
      t.deepEqual(await host.read(piece), new Uint8Array(16).fill(1), `piece ${piece}`);
    await disk.detach();
    await host.attach(true);
    for (const piece of [7, PIECES - 1])
      t.deepEqual(await host.read(piece), new Uint8Array(16).fill(2), `piece ${piece}`);
  });
});

test('an agent that restarts while a hand-over is in doubt takes no write; after a refusal it goes on in the same overlay', async (t) => {
  await withHost(3, async (host) => {
    const disk = await host.import(() => 1);
    await host.attach();
    await host.write(3, 2);
    await disk.handOver(host.records.office.hostId);
    await host.restart();
    t.is(host.attachment.view.attachment.kind, 'held');
    const { source } = host.disk.ownership;
    if (source.phase !== 'relinquished') return t.fail(source.phase);
    await t.throwsAsync(host.write(4, 3), { message: /takes no writes/ });
    const refusal = createRefusal(
      host.records.genesis,
      source.relinquish,
      { code: 'DISK_FULL', reason: 'no room' },
      host.records.office,
    );
    await host.disk.ownership.receive(host.records.office.hostId, {
      kind: 'verdict',
      disk: host.disk.disk,
      record: refusal.bytes,
    });
    await host.write(4, 3);
    await host.attachment.view.flush();
    await host.restart();
    for (const [piece, fill] of [
      [2, 1],
      [3, 2],
      [4, 3],
    ] as const)
      t.deepEqual(await host.read(piece), new Uint8Array(16).fill(fill), `piece ${piece}`);
  });
});

test('a host that is revoked while a guest writes has its export closed, and keeps what was written', async (t) => {
  await withHost(4, async (host) => {
    const disk = await host.import(() => 1);
    await host.attach();
    await host.write(3, 2);
    const { genesis, home, owner, random, secret } = host.records;
    const revoked = { host: home.hostId, role: 'writer', revoked: { epoch: 1, sequence: 1 } } as const;
    await disk.applyRoster(createRoster({ genesis, sequence: 2, members: [revoked], secret }, owner, random).bytes);
    await disk.changed.until(() => disk.attachment.attachment === null, never);
    await t.throwsAsync(host.write(4, 3), { message: /fenced/ });
    t.is(await disk.attachment.dirtyBytes(), 4096);
    t.true(
      host.warnings.some((warning) => /was revoked.*shut its virtual machine down/.test(warning)),
      host.warnings.join('\n'),
    );
    await t.throwsAsync(host.attach(), { message: /owns disk "desk"/ });
  });
});

test('a disk that is forced to another host while it is being attached is not attached', async (t) => {
  await withHost(5, async (host) => {
    const disk = await host.import(() => 1);
    const { genesis, office, owner } = host.records;
    const { head, chain } = disk.records;
    const at = { previous: chain.current.head.previous, epoch: 2 };
    const force = createForce(
      genesis,
      { at, to: office.hostId, afterGeneration: head!.id, afterSequence: 1, forkName: 'desk-fork' },
      owner,
    );
    const attached = host.attach();
    const forced = disk.records.offerEpochs([force.bytes]);
    await t.throwsAsync(attached, { message: /owns disk "desk"/ });
    t.true(await forced);
    t.is(disk.attachment.attachment, null);
    t.deepEqual(
      host.opened.filter((attachment) => attachment.spec.epoch === 2),
      [],
    );
  });
});

test('a disk that is being attached is not removed, and one that is being removed is not attached', async (t) => {
  await withHost(6, async (host) => {
    const disk = await host.import(() => 1);
    const attached = host.attach();
    await t.throwsAsync(host.agent.remove(disk, null), { message: /is attached/ });
    await attached;
    await host.write(5, 2);
    t.deepEqual(await host.read(5), new Uint8Array(16).fill(2));
    await disk.detach();
    const removed = host.agent.remove(disk, null);
    await t.throwsAsync(host.attach(), { message: /is being removed/ });
    await t.throwsAsync(host.agent.remove(disk, null), { message: /is being removed/ });
    await removed;
    t.deepEqual(host.agent.disks, []);
  });
});

test('an agent on a full disk stops in order, and nothing that was flushed is lost', async (t) => {
  await withHost(7, async (host) => {
    const disk = await host.import((piece) => (piece % 250) + 1);
    await host.attach();
    for (let piece = 0; piece < 20; piece++) await host.read(piece);
    await host.write(5, 0x99);
    await host.attachment.view.flush();
    const { disk: storage } = host.machine;
    for (let index = 0; index < 40; index++)
      await host.agent.env.meta.commit({ [`filler ${index}`]: new Uint8Array(1000) });
    storage.capacityBytes -= storage.freeBytes;
    // What is left of the reserve is less than a trace needs.
    for (;;) {
      try {
        await host.agent.env.meta.commit({ filler: new Uint8Array(64) });
      } catch {
        break;
      }
    }
    await t.notThrowsAsync(host.agent.stop());
    t.true(
      host.warnings.some((warning) => warning.includes('"desk" touched')),
      host.warnings.join('\n'),
    );
    storage.capacityBytes = 2 ** 40;
    await host.restart();
    t.not(disk, host.disk);
    t.deepEqual(await host.read(5), new Uint8Array(16).fill(0x99));
  });
});

test('an invitation that is used twice at once makes one disk, and a disk being removed is not joined', async (t) => {
  await withHost(8, async (host) => {
    const { genesis, grant, home, owner } = host.records;
    const roster = host.records.rosterOf(1, {});
    const content = { genesis, roster, epochs: [grant], trackers: [], addresses: [], name: 'desk' };
    const invitation = createInvitation({ ...content, host: home.hostId }, owner);
    const joined = host.agent.join(invitation, null);
    await t.throwsAsync(host.agent.join(invitation, 'other'), { message: /being made or removed/ });
    const disk = await joined;
    await t.throwsAsync(host.agent.join(invitation, 'other'), { message: /has the disk already, as "desk"/ });
    const removed = host.agent.remove(disk, null);
    await new Promise<void>((resolve) => setImmediate(resolve));
    await t.throwsAsync(host.agent.join(invitation, 'other'), { code: 'NAME_EXISTS' });
    await removed;
    t.is((await host.agent.join(invitation, 'other')).name, 'other');
    await host.restart();
    t.deepEqual(
      host.agent.disks.map(({ name }) => name),
      ['other'],
    );
  });
});

test('a removal that fails half-way is finished at the next start, and until then the disk is not made anew', async (t) => {
  await withHost(9, async (host) => {
    const disk = await host.import(() => 1);
    const { genesis, grant, home, owner } = host.records;
    const content = {
      genesis,
      roster: host.records.rosterOf(1, {}),
      epochs: [grant],
      trackers: [],
      addresses: [],
      name: 'desk',
    };
    const invitation = createInvitation({ ...content, host: home.hostId }, owner);
    const { store } = host.agent.env;
    const failing = (): Promise<never> => Promise.reject(new DiskswarmError('WRITE_FAILED', 'EIO'));
    store.remove = failing;
    await t.throwsAsync(host.agent.remove(disk, null), { message: 'EIO' });
    await t.throwsAsync(host.agent.join(invitation, null), { message: /being made or removed/ });
    await host.restart();
    t.deepEqual(host.agent.disks, []);
    t.is(host.agent.env.store.stats().chunks, 0);
    t.deepEqual(host.agent.env.meta.keys(''), []);
    const joined = await host.agent.join(invitation, null);
    host.agent.env.store.reclaim = failing;
    await host.agent.remove(joined, null);
    t.deepEqual(host.agent.env.meta.keys(''), []);
  });
});
