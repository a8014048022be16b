/** The datagram side as the wire shows it: who is answered, with how much, and who is not. */
import dgram from 'node:dgram';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { startTracker, type Tracker } from '../src/server.ts';

const HASH = '0123456789abcdef0123456789abcdef01234567';
const UNKNOWN = 'ee'.repeat(20);
const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const number = (value: number, digits = 8): string => value.toString(16).padStart(digits, '0');
const CONNECT = hex('0000041727101980 00000000 00000001');

/** A socket that asks; answers come in the order of what was sent, because the tracker has one thread. */
class Asker {
  readonly #socket: dgram.Socket;
  readonly #port: number;
  readonly #host: string;
  readonly #answers: Buffer[] = [];
  #wake: () => void = () => {};

  constructor(t: ExecutionContext, tracker: Tracker, host = '127.0.0.1', from?: string) {
    this.#host = host;
    this.#port = Number(new URL((tracker.udpAnnounceUrl as string).replace('udp:', 'http:')).port);
    this.#socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    if (from !== undefined) this.#socket.bind(0, from);
    this.#socket.on('message', (bytes) => {
      this.#answers.push(bytes);
      this.#wake();
    });
    t.teardown(() => new Promise<void>((resolve) => this.#socket.close(() => resolve())));
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#port, this.#host);
  }

  /** The next answer. */
  async next(): Promise<Buffer> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) return answer;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async ask(bytes: Uint8Array): Promise<Buffer> {
    this.send(bytes);
    return this.next();
  }

  /** Sends what must not be answered, then something that is: the first answer has to be that one's. */
  async silence(bytes: Uint8Array): Promise<boolean> {
    this.send(bytes);
    const mark = hex(`0000041727101980 00000000 5a5a5a5a`);
    const answer = await this.ask(mark);
    return answer.readUInt32BE(4) === 0x5a5a5a5a && this.#answers.length === 0;
  }

  async connect(): Promise<string> {
    return (await this.ask(CONNECT)).toString('hex', 8, 16);
  }
}

function announce(
  id: string,
  port: number,
  more: { event?: number; left?: number; wanted?: number; hash?: string } = {},
) {
  const { event = 2, left = 1, wanted = -1, hash = HASH } = more;
  return hex(`${id} 00000001 00000002 ${hash} ${'41'.repeat(20)} ${number(0, 16)} ${number(left, 16)} ${number(0, 16)}
    ${number(event)} 0a0a0a0a 00000000 ${number(wanted >>> 0)} ${number(port, 4)}`);
}

async function start(t: ExecutionContext, more: { listen?: string; limitPerSecond?: number } = {}): Promise<Tracker> {
  const { listen = '127.0.0.1:0' } = more;
  const tracker = await startTracker({ clock: systemClock, random: systemRandom, udp: listen, ...more, listen });
  t.teardown(() => tracker.stop());
  return tracker;
}

test('an address that proved itself is told of peers: itself never, and at the address it sends from', async (t) => {
  const asker = new Asker(t, await start(t));
  const connected = await asker.ask(CONNECT);
  t.is(connected.length, CONNECT.length);
  t.is(connected.readUInt32BE(0), 0);
  const id = connected.toString('hex', 8, 16);
  t.deepEqual(await asker.ask(announce(id, 7001)), hex('00000001 00000002 00000078 00000001 00000000'));
  const second = await asker.ask(announce(id, 7002, { left: 0 }));
  t.deepEqual(second, hex(`00000001 00000002 00000078 00000001 00000001 7f000001 ${number(7001, 4)}`));
  t.is((await asker.ask(announce(id, 7003, { wanted: 1 }))).length, 26);
  t.is((await asker.ask(announce(id, 7003, { wanted: 0 }))).length, 20);
  const scraped = await asker.ask(hex(`${id} 00000002 00000009 ${UNKNOWN} ${HASH}`));
  t.deepEqual(scraped, hex(`00000002 00000009 ${number(0, 24)} 00000001 00000000 00000002`));
  t.is((await asker.ask(announce(id, 7001, { event: 3 }))).length, 20);
  t.deepEqual((await asker.ask(announce(id, 7002))).subarray(20), hex(`7f000001 ${number(7003, 4)}`));
});

test('nobody who did not prove its address is answered with more than it sent', async (t) => {
  const tracker = await start(t);
  const asker = new Asker(t, tracker);
  const id = await asker.connect();
  await asker.ask(announce(id, 7001));
  const forged = `${id.slice(0, 14)}${id.endsWith('00') ? '01' : '00'}`;
  t.true(await asker.silence(announce(forged, 7002)));
  t.true(await asker.silence(announce('0000041727101980', 7002)));
  t.true(await asker.silence(hex(`${forged} 00000002 00000009 ${HASH}`)));
  t.is(tracker.counts.peers, 1);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 4 }), async (bytes, action) => {
      const datagram = Buffer.from(bytes);
      if (datagram.length >= 12) datagram.writeUInt32BE(action, 8);
      t.true(await asker.silence(datagram));
    }),
    { numRuns: 50 },
  );
  t.is((await asker.ask(announce(id, 7003))).length, 26, 'and it is as well as before');
});

test('a scrape of swarms that nobody is in is met with silence', async (t) => {
  const asker = new Asker(t, await start(t));
  const id = await asker.connect();
  t.true(await asker.silence(hex(`${id} 00000002 00000009 ${UNKNOWN} ${HASH}`)));
  await asker.ask(announce(id, 7001));
  t.is((await asker.ask(hex(`${id} 00000002 00000009 ${UNKNOWN} ${HASH}`))).length, 8 + 24);
  await asker.ask(announce(id, 7001, { event: 3 }));
  t.true(await asker.silence(hex(`${id} 00000002 00000009 ${HASH}`)));
});

test('both families share a swarm, each told of its own', async (t) => {
  const tracker = await start(t, { listen: '[::]:0' });
  const four = new Asker(t, tracker);
  const six = new Asker(t, tracker, '::1');
  const fourId = await four.connect();
  const sixId = await six.connect();
  t.not(fourId, sixId);
  for (const port of [7001, 7002]) await four.ask(announce(fourId, port));
  t.true(await six.silence(announce(fourId, 7003)), 'an id is good for one address');
  const alone = await six.ask(announce(sixId, 7003));
  t.deepEqual(alone, hex('00000001 00000002 00000078 00000003 00000000'));
  t.deepEqual((await six.ask(announce(sixId, 7004))).subarray(20), hex(`${'0'.repeat(31)}1 ${number(7003, 4)}`));
  t.is((await four.ask(announce(fourId, 7001))).length, 26);
  for (let port = 8000; port < 8100; port++) await six.ask(announce(sixId, port));
  const packet = await six.ask(announce(sixId, 7003, { wanted: 1000 }));
  t.is(packet.length, 20 + 66 * 18);
  t.is((await six.ask(announce(sixId, 7003))).length, 20 + 50 * 18);
});

test('who asks too often is not heard for the rest of the second; others are', async (t) => {
  const clock = { ...systemClock, nowUs: () => 5e6 };
  const tracker = await startTracker({
    listen: '127.0.0.1:0',
    udp: '127.0.0.1:0',
    clock,
    random: systemRandom,
    limitPerSecond: 3,
  });
  t.teardown(() => tracker.stop());
  const asker = new Asker(t, tracker);
  const id = await asker.connect();
  await asker.ask(announce(id, 7001));
  await asker.connect();
  // The three of this second are used up: neither is answered, over either way.
  asker.send(announce(id, 7002));
  t.is((await fetch(`${tracker.announceUrl}?x=1`)).status, 429);
  t.is(tracker.counts.peers, 1);
  t.is((await new Asker(t, tracker, '127.0.0.1', '127.0.0.2').connect()).length, 16);
  clock.nowUs = () => 6e6;
  t.is((await asker.ask(announce(id, 7001))).length, 20);
  const metrics = await (await fetch(`http://${tracker.listen}/metrics`)).text();
  t.regex(metrics, /^diskswarm_tracker_refused_total\{reason="limit"\} 2$/m);
});
