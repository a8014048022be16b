/**
 * Members that lie, against real agents: the guest gets the right bytes from somebody else, the liar is kept away.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fromHex, type HostId } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  createAcceptance,
  createGeneration,
  createGenesis,
  createGrant,
  createOwner,
  createReceipt,
  createRelinquish,
} from '@diskswarm/identity';
import { encodeOwnershipMessage, type OwnershipMessage } from '@diskswarm/ownership';
import { encodeLaneControl } from '@diskswarm/wire';
import test, { type ExecutionContext } from 'ava';
import { becomeMember, Liar, type Lies, type Membership, RawMember, wrongRoot } from './liar.ts';
import { NbdClient, pattern } from './nbd.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const CHUNK = 65_536;

interface Setting {
  readonly home: Host;
  /** Holds nothing of the disk. */
  readonly office: Host;
  /** For office. */
  readonly invitation: string;
  readonly member: Membership;
  readonly content: Buffer;
  /** Where home listens, again after a restart. */
  readonly homePort: string;
}

/** Home holds the disk, office is invited, and the test itself is a member. */
async function setting(t: ExecutionContext, length = 4 * MIB): Promise<Setting> {
  const folder = temporaryFolder(t);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  const content = pattern(length, 1);
  fs.writeFileSync(path.join(folder, 'image.raw'), content);
  await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', path.join(folder, 'image.raw'), '--name', 'desktop');
  const member = await becomeMember(home, 'desktop');
  const { invitation } = await home.ok('disk', 'grant', 'desktop', '--host', office.id, '--role', 'writer');
  return { home, office, invitation: String(invitation), member, content, homePort: home.daemon!.listen };
}

/** Office has joined and is connected to home. */
async function joined(t: ExecutionContext): Promise<Setting> {
  const made = await setting(t);
  await made.office.ok('disk', 'join', made.invitation);
  await made.office.connectedTo(made.home);
  return made;
}

async function isBanned(host: Host, id: string): Promise<boolean> {
  const { peers } = (await host.call('peer.ls', {})) as { peers: Json[] };
  return peers.some((peer) => peer.hostId === id && peer.banned === true);
}

async function readOnly(office: Host): Promise<NbdClient> {
  const { socket } = await office.ok('disk', 'attach', 'desktop', '--read-only');
  return NbdClient.connect(String(socket), 'desktop');
}

/** Home is away; office joins and faults on a chunk that only the liar offers; then home comes back. */
async function alone(
  t: ExecutionContext,
  lies: Lies,
  expected: { banned: boolean },
): Promise<{ made: Setting; liar: Liar }> {
  const made = await setting(t);
  const { home, office, invitation, member, content, homePort } = made;
  await home.stop();
  const joining = office.ok('disk', 'join', invitation);
  const liar = await Liar.meet(t, member, office, content, lies);
  await joining;
  // One that lies about the manifest, which is asked for at once, may be banned by now.
  const asked = (): boolean => liar.asked.pieces + liar.asked.paths > 0;
  await eventually('the liar is believed', () => liar.ready.size > 0 || asked());
  const client = await readOnly(office);
  const read = client.read(5 * CHUNK, CHUNK);
  await eventually('the liar is asked', asked);
  if (expected.banned) await eventually('the liar is banned', () => isBanned(office, liar.id));
  // Nobody else is there: the guest waits, it gets no error.
  t.is(
    await Promise.race([read.then(() => 'answered'), new Promise((resolve) => setTimeout(resolve, 1000, 'waits'))]),
    'waits',
  );
  await home.start({ args: ['--listen', homePort] });
  t.true((await read).equals(content.subarray(5 * CHUNK, 6 * CHUNK)));
  t.true((await client.read(0, content.length)).equals(content));
  t.is(await isBanned(office, liar.id), expected.banned);
  await client.close();
  return { made, liar };
}

test('wrong bytes: the liar is banned, the guest waits for and gets the right ones; an unban lets it back', async (t) => {
  const lies = { readPiece: async (_piece: number, honest: Uint8Array) => Buffer.from(honest.map((byte) => byte ^ 1)) };
  const { made, liar } = await alone(t, lies, { banned: true });
  t.is(liar.ready.size, 0);
  t.is((await made.office.ok('peer', 'unban', liar.id)).unbanned, true);
  await eventually('it is back', () => liar.ready.size > 0);
});

test('wrong manifest pages: the liar is banned before a chunk is asked for by them', async (t) => {
  const { liar } = await alone(
    t,
    { readPath: async (_piece, honest) => honest.map((page) => Buffer.from(page).reverse()) },
    { banned: true },
  );
  t.true(liar.asked.paths >= 1);
});

test('claims of chunks that it does not serve: slow, not wrong, and not banned for it', async (t) => {
  const { liar } = await alone(t, { readPiece: async () => null }, { banned: false });
  t.true(liar.asked.pieces >= 1);
});

test('answers that never come: faults are asked again elsewhere', async (t) => {
  const { office, member, content } = await joined(t);
  const liar = await Liar.meet(t, member, office, content, { readPiece: () => new Promise(() => {}) });
  await eventually('it is believed', () => liar.ready.size > 0);
  const client = await readOnly(office);
  const started = Date.now();
  for (let piece = 0; piece < content.length / CHUNK; piece += 4) {
    t.true((await client.read(piece * CHUNK, CHUNK)).equals(content.subarray(piece * CHUNK, (piece + 1) * CHUNK)));
  }
  t.true(Date.now() - started < 30_000);
  await client.close();
  await office.ok('disk', 'pull', 'desktop');
  await office.ok('disk', 'export', 'desktop', path.join(office.state, '../out.raw'));
  t.true(fs.readFileSync(path.join(office.state, '../out.raw')).equals(content));
});

test('generations and epochs that nobody was entitled to sign are not taken, and do not stand in the way of true ones', async (t) => {
  const { home, office, member, content } = await joined(t);
  const { keys, invitation, head, epochs } = member;
  const { genesis } = invitation;
  const grant = epochs[0]!;
  const common = {
    disk: genesis.disk,
    sequence: 2,
    parent: { disk: genesis.disk, generation: head.id },
    sizeBytes: head.sizeBytes,
    kept: true,
    wallMs: 1,
  };
  const at = { previous: grant.id, epoch: 2 };
  // A writer who claims the owner's epoch; one whose authority is a grant of its own; one that a relinquish by itself made owner.
  const self = createOwner(systemRandom);
  const ownGrant = createGrant(createGenesis(self, genesis.chunkSizeBytes, systemRandom), keys.hostId, self);
  const taken = createRelinquish(
    genesis,
    { at, to: keys.hostId, finalGeneration: head.id, finalSequence: 1, nonce: systemRandom.bytes(16) },
    keys,
  );
  const forgeries = [
    { generation: createGeneration({ ...common, epoch: 1, authority: grant.id, root: wrongRoot(head) }, keys), epochs },
    {
      generation: createGeneration({ ...common, epoch: 1, authority: ownGrant.id, root: wrongRoot(head) }, keys),
      epochs: [ownGrant],
    },
    {
      generation: createGeneration({ ...common, epoch: 2, authority: taken.id, root: wrongRoot(head) }, keys),
      epochs: [...epochs, taken],
    },
  ];
  for (const [index, forged] of forgeries.entries()) {
    await office.call('peer.unban', { hostId: keys.hostId });
    const liar: Liar = await Liar.meet(t, member, office, content, {
      announce: (channel) => liar.announceForged(channel, forged.generation, forged.epochs),
    });
    await eventually(
      `forgery ${index} was told`,
      () => /refused|kept away/.test(office.daemon!.stderr) && office.daemon!.stderr.includes(keys.hostId.slice(0, 64)),
    );
    await liar.swarm.stop();
    const info = await office.info('desktop');
    t.deepEqual(
      [info.sequence, info.epoch, info.ownerHostId, info.root],
      [1, 1, home.id, head.root],
      `forgery ${index}`,
    );
    office.daemon!.stderr = '';
  }
  // The true owner goes on, and office hears it.
  const { socket } = await home.ok('disk', 'attach', 'desktop');
  const client = await NbdClient.connect(String(socket), 'desktop');
  t.is(await client.write(0, pattern(CHUNK, 9)), 0);
  await client.close();
  const sealed = await home.ok('disk', 'seal', 'desktop');
  const heard = await office.ok('disk', 'wait', 'desktop', '--sequence', '2', '--timeout', '40');
  t.is(heard.root, sealed.root);
  await home.ok('disk', 'handover', 'desktop', '--to', office.id);
  t.is((await office.info('desktop')).ownerHostId, office.id);
});

test('messages of ownership that are forged, repeated or poured out move nothing, free no copy and disturb no guest', async (t) => {
  const { home, office, member, content } = await joined(t);
  const { keys, invitation, head } = member;
  const { genesis } = invitation;
  const { disk } = genesis;
  const liars = await Promise.all([home, office].map((victim) => Liar.meet(t, member, victim, content, {})));
  await eventually('the member is in', () => liars.every(({ ready }) => ready.size > 0));
  const say = (to: Host, message: OwnershipMessage): void => {
    for (const channel of liars[to === home ? 0 : 1]!.ready) channel.sendOwnership(encodeOwnershipMessage(message));
  };
  const { socket } = await home.ok('disk', 'attach', 'desktop');
  const client = await NbdClient.connect(String(socket), 'desktop');
  // Asked without end for a disk in use: the guest notices nothing.
  for (let count = 0; count < 500; count++) say(home, { kind: 'ask', disk, nonce: systemRandom.bytes(16) });
  for (let count = 0; count < 200; count++) t.is(await client.write(count * 4096, pattern(4096, count + 1)), 0);
  await eventually(
    'every ask is refused',
    () =>
      liars[0]!.told.filter((message) => message.kind === 'refused' && message.code === 'CLIENT_CONNECTED').length ===
      500,
  );
  // A member's word is not the owner's or a keeper's: the only complete copy stays.
  const nonce = systemRandom.bytes(16);
  say(home, { kind: 'receipt', disk, record: createReceipt(head, nonce, keys).bytes });
  say(home, { kind: 'receipt', disk: disk, record: pattern(300, 4) });
  await client.close();
  await home.ok('disk', 'detach', 'desktop');
  t.is((await home.run(['disk', 'rm', 'desktop'])).errorCode, 'LAST_COPY');
  t.is((await home.info('desktop')).safeToSwitchOff, false);
  await home.ok('disk', 'seal', 'desktop');
  await office.ok('disk', 'wait', 'desktop', '--sequence', '2', '--timeout', '40');
  await eventually('the member got over its ban, if it was banned', async () => {
    for (const host of [home, office]) await host.call('peer.unban', { hostId: keys.hostId });
    return liars.every(({ ready }) => ready.size > 0);
  });
  // "Home gave the disk to office", signed by one who cannot give it; and the answer to an offer that nobody made.
  const at = { previous: member.epochs[0]!.id, epoch: 2 };
  const given = createRelinquish(
    genesis,
    { at, to: office.id as HostId, finalGeneration: head.id, finalSequence: 1, nonce },
    keys,
  );
  const toSelf = createRelinquish(
    genesis,
    { at, to: keys.hostId, finalGeneration: head.id, finalSequence: 1, nonce },
    keys,
  );
  say(office, { kind: 'relinquish', disk, record: given.bytes, generation: head.bytes });
  say(home, { kind: 'verdict', disk, record: createAcceptance(genesis, toSelf, keys).bytes });
  await eventually('both heard it', () =>
    [home, office].every((host) => /refused|kept away/.test(host.daemon!.stderr)),
  );
  for (const host of [home, office])
    t.deepEqual([(await host.info('desktop')).epoch, (await host.info('desktop')).ownerHostId], [1, home.id]);
  // There and back again; then the first offer once more, true and over.
  await home.ok('disk', 'handover', 'desktop', '--to', office.id);
  const { epochRecords, headGeneration } = (await office.call('disk.ownerView', { name: 'desktop' })) as {
    epochRecords: string[];
    headGeneration: string;
  };
  await office.ok('disk', 'handover', 'desktop', '--to', home.id);
  await eventually('the member is back', async () => {
    await office.call('peer.unban', { hostId: keys.hostId });
    return liars[1]!.ready.size > 0;
  });
  say(office, { kind: 'relinquish', disk, record: fromHex(epochRecords[1]!), generation: fromHex(headGeneration) });
  t.is((await office.run(['disk', 'attach', 'desktop'])).errorCode, 'NOT_OWNER');
  const again = await home.ok('disk', 'attach', 'desktop');
  const writer = await NbdClient.connect(String(again.socket), 'desktop');
  t.is(await writer.write(0, pattern(4096, 3)), 0);
  t.deepEqual([(await office.info('desktop')).epoch, (await office.info('desktop')).ownerHostId], [3, home.id]);
  await writer.close();
});

test('a member that sends endless, huge or senseless messages is dropped and kept away; it costs no memory', async (t) => {
  const { office, member, content } = await joined(t);
  const before = rss(office);
  const frame = (channel: number, payload: Uint8Array): Buffer => {
    const head = Buffer.alloc(4);
    head.writeUInt16BE(channel, 0);
    head.writeUInt16BE(payload.length - 1, 2);
    return Buffer.concat([head, payload]);
  };
  const open = (raw: RawMember): Buffer =>
    frame(0, encodeLaneControl({ kind: 'open', channel: 1, tag: raw.tag(member) }));
  const hugeMessage = Buffer.alloc(16_384, 7);
  hugeMessage.writeUInt32BE(0x7fff_ffff, 0);
  const attacks: [string, (raw: RawMember) => Uint8Array][] = [
    ['frames of a channel that nobody opened', () => frame(7, Buffer.alloc(16_384, 1))],
    ['frames that are too long', () => Buffer.from([0, 1, 0xff, 0xff, ...Buffer.alloc(4096)])],
    ['control messages without an end', () => frame(0, Buffer.alloc(16_384, 0xff))],
    [
      'a control message of an unknown kind',
      () => frame(0, Buffer.concat([Buffer.from([0, 9]), Buffer.from('d4:kindi1')])),
    ],
    ['garbage', () => pattern(256 * 1024, 3)],
    [
      'a channel opened without its proof, for ever',
      () => frame(0, encodeLaneControl({ kind: 'open', channel: 1, tag: new Uint8Array(32) })),
    ],
    ['a message of 2 GiB on an opened channel', (raw) => Buffer.concat([open(raw), frame(1, hugeMessage)])],
  ];
  for (const [what, bytes] of attacks) {
    await office.call('peer.unban', { hostId: member.keys.hostId });
    const raw = await RawMember.dial(t, member, office);
    const attack = bytes(raw);
    const sent = await Promise.race([raw.pour(attack, 64 * MIB), raw.closed.then(() => 0)]);
    await Promise.race([raw.closed, new Promise((resolve) => setTimeout(resolve, 15_000))]);
    t.true(raw.isOver, `${what}: the connection stands after ${sent} bytes`);
    t.true(await isBanned(office, member.keys.hostId), what);
  }
  t.true(rss(office) - before < 64 * MIB, `${rss(office) - before} bytes more`);
  const client = await readOnly(office);
  t.true((await client.read(0, content.length)).equals(content));
  await client.close();
});

function rss(host: Host): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${host.daemon!.pid}/status`, 'utf8'))?.[1]) * 1024;
}
