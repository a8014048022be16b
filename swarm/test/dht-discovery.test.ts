/** When a disk is announced in the DHT, under which topics, and what becomes of what is found there. */
import { type Address, type DiskId, DiskswarmError, toHex } from '@diskswarm/core';
import { dhtTopicOf, infoHashOf, topicOf } from '@diskswarm/identity';
import test from 'ava';
import { type Dht, DhtDiscovery } from '../src/index.ts';
import { TestClock, TestRandom } from './helpers/test-clock.ts';

const disk = 'dd'.repeat(32) as DiskId;
const secret = (value: number): Uint8Array => new Uint8Array(32).fill(value);
const topic = (value: number): string => toHex(dhtTopicOf(secret(value), disk));

class FakeDht implements Dht {
  readonly #clock: TestClock;
  readonly asked: { topic: string; atMs: number }[] = [];
  readonly left: string[] = [];
  /** What a question gets. */
  answer: () => Promise<readonly Address[]> = async () => [];
  goodbye: () => Promise<void> = async () => undefined;

  constructor(clock: TestClock) {
    this.#clock = clock;
  }

  meet(under: Uint8Array): Promise<readonly Address[]> {
    this.asked.push({ topic: toHex(under), atMs: this.#clock.nowUs() / 1000 });
    return this.answer();
  }

  leave(under: Uint8Array): Promise<void> {
    this.left.push(toHex(under));
    return this.goodbye();
  }
}

function start() {
  const clock = new TestClock();
  const dht = new FakeDht(clock);
  const secrets = [secret(1)];
  const found: Address[][] = [];
  const troubles: (string | null)[] = [];
  const discovery = new DhtDiscovery({
    dht,
    clock,
    random: new TestRandom(4),
    onPeers: (of, addresses) => {
      if (of === disk) found.push([...addresses]);
    },
    onTrouble: (error) => troubles.push(error?.message ?? null),
  });
  return { clock, dht, secrets, found, troubles, discovery, member: { disk, secrets: () => secrets } };
}

test('asks often at first, because two that begin together miss each other, then before it is forgotten', async (t) => {
  const { clock, dht, found, discovery, member } = start();
  dht.answer = async () => ['one.dht:1'];
  discovery.addDisk(member);
  discovery.addDisk(member);
  await clock.advance(16_000);
  t.true(dht.asked.length >= 4);
  t.true(found.length === dht.asked.length && found.every(([first]) => first === 'one.dht:1'));
  await clock.advance(3_600_000);
  const pauses = dht.asked.slice(1).map(({ atMs }, index) => atMs - dht.asked[index]!.atMs);
  t.true(pauses.slice(-4).every((pauseMs) => pauseMs > 300_000 && pauseMs < 600_000));
  t.true(dht.asked.every((each) => each.topic === topic(1)));
});

test('the topic is none that trackers hear of; the earlier secret is met under too, a new one at once', async (t) => {
  const { clock, dht, secrets, discovery, member } = start();
  t.not(topic(1).slice(0, 40), toHex(infoHashOf(topicOf(secret(1), disk))));
  discovery.addDisk(member);
  await clock.advance(600_000);
  dht.asked.length = 0;
  secrets.splice(0, 1, secret(3), secret(2), secret(1));
  discovery.askNow(disk);
  await clock.advance(1);
  t.deepEqual(
    dht.asked.map((each) => each.topic),
    [topic(3), topic(2)],
  );
});

test('a DHT that does not answer is told once, asked again soon, and told when it is back', async (t) => {
  const { clock, dht, troubles, discovery, member } = start();
  dht.answer = () => Promise.reject(new DiskswarmError('PEER_UNREACHABLE', 'nobody'));
  discovery.addDisk(member);
  await clock.advance(1_200_000);
  t.deepEqual(troubles, ['nobody']);
  const asked = dht.asked.length;
  t.true(asked > 15 && asked < 40);
  dht.answer = async () => [];
  await clock.advance(70_000);
  t.deepEqual(troubles, ['nobody', null]);
});

test('of a crowd a bounded part is taken, another one each time', async (t) => {
  const { clock, dht, found, discovery, member } = start();
  dht.answer = async () => Array.from({ length: 1_000 }, (_, index) => `${index}.dht:1`);
  discovery.addDisk(member);
  await clock.advance(5_000);
  t.true(found.length >= 2 && found.every((addresses) => new Set(addresses).size === 64));
  t.notDeepEqual(found[0], found[1]);
});

test('says goodbye under every topic, does not wait for it for ever, and is silent then', async (t) => {
  const { clock, dht, secrets, found, discovery, member } = start();
  discovery.addDisk(member);
  await clock.advance(1_000);
  secrets.unshift(secret(2));
  discovery.askNow(disk);
  await clock.advance(1);
  dht.goodbye = () => new Promise(() => undefined);
  let stopped = false;
  void discovery.stop().then(() => {
    stopped = true;
  });
  t.true(await clock.until(() => stopped, 3_000));
  t.deepEqual(new Set(dht.left), new Set([topic(1), topic(2)]));
  const before = found.length;
  await clock.advance(3_600_000);
  t.is(found.length, before);
  await discovery.stop();
});
