/** Calls on a LAN: who hears whom, what strangers and copies get, and what a flood costs; then real multicast on loopback. */
import { type Address, type DiskId, formatAddress, toHex } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { lanKeyOf } from '@diskswarm/identity';
import test from 'ava';
import fc from 'fast-check';
import { decodeLanCall, encodeLanCall, LAN_TAG_BYTES, lanTag, MAX_LAN_TAGS } from '../src/discovery/lan-message.ts';
import { LanDiscovery, type Segment } from '../src/index.ts';
import { MulticastSegment } from '../src/transport/index.ts';
import { TestClock, TestRandom } from './helpers/test-clock.ts';

const HOUR_MS = 3_600_000;
const secret = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const diskOf = (value: number): DiskId => value.toString(16).padStart(2, '0').repeat(32) as DiskId;

interface Heard {
  readonly disk: DiskId;
  readonly address: Address;
}

/** Segments in memory: what one host sends, all others hear. */
class World {
  readonly clock = new TestClock();
  readonly sent: { bytes: Uint8Array; from: string }[] = [];
  readonly #ears = new Set<(bytes: Uint8Array, from: string) => void>();
  #seed = 1;

  say(bytes: Uint8Array, from: string): void {
    this.sent.push({ bytes, from });
    for (const hear of this.#ears) hear(bytes, from);
  }

  async host(address: string | string[], disks: Readonly<Record<number, number[]>>) {
    const own = [address].flat();
    const heard: Heard[] = [];
    let ear: ((bytes: Uint8Array, from: string) => void) | null = null;
    const segment: Segment = {
      open: async (hear) => {
        ear = hear;
        this.#ears.add(hear);
      },
      hosts: () => [...own],
      send: (from, bytes) => this.say(bytes, from),
      close: async () => {
        if (ear !== null) this.#ears.delete(ear);
      },
    };
    const discovery = new LanDiscovery({
      segment,
      clock: this.clock,
      random: new TestRandom(this.#seed++),
      listenPort: 7000,
      onPeer: (disk, found) => heard.push({ disk, address: found }),
    });
    await discovery.start();
    const secrets = new Map(Object.entries(disks).map(([disk, values]) => [Number(disk), values.map(secret)]));
    for (const disk of secrets.keys())
      discovery.addDisk({ disk: diskOf(disk), secrets: () => secrets.get(disk) ?? [] });
    return { discovery, heard, own, secrets };
  }
}

test('members hear each other within a moment, each disk by itself, and nobody hears himself', async (t) => {
  const world = new World();
  const home = await world.host('10.0.0.1', { 1: [1], 2: [2] });
  const office = await world.host('10.0.0.2', { 2: [2], 3: [3] });
  await world.clock.advance(1_000);
  t.deepEqual(
    new Set(home.heard.map(({ disk, address }) => `${disk} ${address}`)),
    new Set([`${diskOf(2)} 10.0.0.2:7000`]),
  );
  t.deepEqual(
    new Set(office.heard.map(({ disk, address }) => `${disk} ${address}`)),
    new Set([`${diskOf(2)} 10.0.0.1:7000`]),
  );
});

test('a host that holds only the earlier secret is heard, and hears', async (t) => {
  const world = new World();
  const away = await world.host('10.0.0.1', { 1: [1] });
  const home = await world.host('10.0.0.2', { 1: [2, 1] });
  await world.clock.advance(1_000);
  t.is(away.heard[0]?.address, '10.0.0.2:7000');
  t.is(home.heard[0]?.address, '10.0.0.1:7000');
});

test('a stranger hears calls that have nothing in common, and is never answered', async (t) => {
  const world = new World();
  await world.host('10.0.0.1', { 1: [1] });
  const stranger = await world.host('10.0.0.9', { 1: [9] });
  await world.clock.advance(120_000);
  t.deepEqual(stranger.heard, []);
  const calls = world.sent.filter(({ from }) => from === '10.0.0.1').map(({ bytes }) => decodeLanCall(bytes));
  t.true(calls.length >= 5);
  const tags = calls.flatMap((call) => [toHex(call.nonce), ...call.tags.map(toHex)]);
  t.is(new Set(tags).size, tags.length);
  // Nothing but the regular calls: none of the stranger's brought one about.
  t.true(calls.length <= 3 + 5);
});

test('a copied call means nothing from elsewhere, nor twice, nor hours later', async (t) => {
  const world = new World();
  const home = await world.host('10.0.0.1', { 1: [1] });
  await world.host('10.0.0.2', { 1: [1] });
  await world.clock.advance(500);
  const call = world.sent.find(({ from }) => from === '10.0.0.2')!;
  t.is(home.heard.length, 1);
  world.say(call.bytes, '10.0.0.66');
  world.say(call.bytes, '10.0.0.2');
  t.is(home.heard.length, 1);

  const hour = Math.floor(world.clock.wallMs() / HOUR_MS);
  const say = (at: number, fill: number): void => {
    const nonce = new Uint8Array(16).fill(fill);
    const key = lanKeyOf(secret(1), diskOf(1), at);
    const tags = [lanTag(key, '10.0.0.7', { port: 9, nonce })];
    world.say(encodeLanCall({ hour: at, port: 9, nonce, tags }, new TestRandom(1)), '10.0.0.7');
  };
  say(hour - 2, 1);
  say(hour + 2, 2);
  t.is(home.heard.length, 1);
  say(hour + 1, 3);
  say(hour - 1, 4);
  t.deepEqual(
    home.heard.slice(1).map(({ address }) => address),
    ['10.0.0.7:9', '10.0.0.7:9'],
  );
});

test('a host that moves calls from its new address; a new disk, and a new secret, are called for at once', async (t) => {
  const world = new World();
  const home = await world.host('10.0.0.1', { 1: [1] });
  const laptop = await world.host('192.168.0.5', { 1: [1] });
  await world.clock.advance(10_000);
  home.heard.length = 0;
  laptop.own.splice(0, 1, '10.0.0.5');
  t.true(await world.clock.until(() => home.heard.length > 0, 7_000));
  t.deepEqual(home.heard[0], { disk: diskOf(1), address: '10.0.0.5:7000' });
  home.heard.length = 0;
  home.secrets.set(1, [secret(7)]);
  laptop.secrets.set(1, [secret(7)]);
  laptop.discovery.callNow();
  t.true(await world.clock.until(() => home.heard.length > 0, 300));
});

test('many disks fit several calls, a removed one is not called for, and a stopped host is silent', async (t) => {
  const world = new World();
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [index, [index]]));
  const home = await world.host('10.0.0.1', many);
  const office = await world.host('10.0.0.2', { 3: [3], 99: [99] });
  home.discovery.removeDisk(diskOf(3));
  await world.clock.advance(1_000);
  t.deepEqual([...new Set(office.heard.map(({ disk }) => disk))], [diskOf(99)]);
  t.true(world.sent.every(({ bytes }) => bytes.length <= 1_200));
  await home.discovery.stop();
  await home.discovery.stop();
  const before = world.sent.filter(({ from }) => from === '10.0.0.1').length;
  await world.clock.advance(120_000);
  t.is(world.sent.filter(({ from }) => from === '10.0.0.1').length, before);
});

test('a flood of one sender costs little, and another is heard beside it', async (t) => {
  const world = new World();
  const disks = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [index, [index, index + 1]]));
  const home = await world.host('10.0.0.1', disks);
  let asked = 0;
  for (const [disk, secrets] of home.secrets)
    home.discovery.addDisk({
      disk: diskOf(disk),
      secrets: () => {
        asked += 1;
        return secrets;
      },
    });
  await world.clock.advance(10_000);
  asked = 0;
  const random = new TestRandom(5);
  const hour = Math.floor(world.clock.wallMs() / HOUR_MS);
  for (let count = 0; count < 2_000; count += 1) {
    const nonce = random.bytes(16);
    world.say(encodeLanCall({ hour, port: 1, nonce, tags: [random.bytes(LAN_TAG_BYTES)] }, random), '10.0.0.66');
  }
  t.true(asked <= 10 * 200, `${asked} times the secrets of a disk were asked for`);
  await world.host('10.0.0.2', { 5: [5] });
  await world.clock.advance(300);
  t.true(home.heard.some(({ address }) => address === '10.0.0.2:7000'));
});

test('calls survive the codec, and garbage is no call', (t) => {
  const bytes = (count: number) => fc.uint8Array({ minLength: count, maxLength: count });
  const call = fc.record({
    hour: fc.integer({ min: 0, max: 0xffff_ffff }),
    port: fc.integer({ min: 1, max: 65_535 }),
    nonce: bytes(16),
    tags: fc.array(bytes(LAN_TAG_BYTES), { minLength: 1, maxLength: MAX_LAN_TAGS }),
  });
  fc.assert(
    fc.property(call, (wanted) => {
      const encoded = encodeLanCall(wanted, new TestRandom(2));
      const { tags, ...rest } = decodeLanCall(encoded);
      t.deepEqual(
        { ...rest, nonce: toHex(rest.nonce), tags: tags.slice(0, wanted.tags.length).map(toHex) },
        { ...wanted, nonce: toHex(wanted.nonce), tags: wanted.tags.map(toHex) },
      );
      t.true([4, 8, 16, 32, 64].includes(tags.length));
      t.throws(() => decodeLanCall(encoded.subarray(1)), { code: 'FORMAT_INVALID' });
      t.throws(() => decodeLanCall(encoded.subarray(0, -1)), { code: 'FORMAT_INVALID' });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (garbage) => {
      t.throws(() => decodeLanCall(garbage), { code: 'FORMAT_INVALID' });
    }),
  );
});

test('two hosts of one machine hear each other by real multicast', async (t) => {
  const shared = systemRandom.bytes(32);
  const firstHeardAt = (listenPort: number): Promise<Address> =>
    new Promise((resolve, reject) => {
      const discovery = new LanDiscovery({
        segment: new MulticastSegment(formatAddress('127.0.0.1', listenPort)),
        clock: systemClock,
        random: systemRandom,
        listenPort,
        onPeer: (_disk, address) => resolve(address),
      });
      t.teardown(() => discovery.stop());
      discovery.start().catch(reject);
      discovery.addDisk({ disk: diskOf(1), secrets: () => [shared] });
    });
  t.deepEqual(await Promise.all([firstHeardAt(7101), firstHeardAt(7102)]), ['127.0.0.1:7102', '127.0.0.1:7101']);
});
