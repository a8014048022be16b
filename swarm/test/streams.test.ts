/** Byte streams between two hosts on the memory lane, over real sessions on modelled links (virtual time). */
import test from 'ava';
import type { PeerStream, StreamHandlers } from '../src/index.ts';
import { connectedPair } from './helpers/world.ts';

interface Heard {
  stream: PeerStream | null;
  readonly bytes: Uint8Array[];
  drained: number;
  ended: boolean;
  closed: { error: string | null } | null;
}

function listener(): { heard: Heard; handlers: (stream: PeerStream) => StreamHandlers } {
  const heard: Heard = { stream: null, bytes: [], drained: 0, ended: false, closed: null };
  const handlers = (stream: PeerStream): StreamHandlers => {
    heard.stream = stream;
    return {
      onData: (bytes) => heard.bytes.push(bytes.slice()),
      onDrain: () => {
        heard.drained += 1;
      },
      onEnd: () => {
        heard.ended = true;
      },
      onClose: (error) => {
        heard.closed = { error: error?.code ?? null };
      },
    };
  };
  return { heard, handlers };
}

test('bytes go both ways, each direction ends by itself, and then the stream is over', async (t) => {
  const { world, home, office } = await connectedPair();
  const [near, far] = [listener(), listener()];
  home.onStream = (stream) => (stream.label === 'memory 0' ? far.handlers(stream) : null);
  const stream = office.swarm.openStream(home.id, 'memory 0', near.handlers);
  stream.write(Buffer.from('there'));
  stream.end();
  t.true(await world.clock.until(() => far.heard.ended));
  t.is(Buffer.concat(far.heard.bytes).toString(), 'there');
  t.is(far.heard.stream!.host, office.id);
  far.heard.stream!.write(Buffer.from('and back'));
  far.heard.stream!.end();
  t.true(await world.clock.until(() => near.heard.closed !== null && far.heard.closed !== null));
  t.is(Buffer.concat(near.heard.bytes).toString(), 'and back');
  t.deepEqual([near.heard.closed, far.heard.closed], [{ error: null }, { error: null }]);
});

test('a side that pauses is waited for: little waits in between, and nothing is lost', async (t) => {
  const { world, home, office } = await connectedPair();
  const [near, far] = [listener(), listener()];
  home.onStream = (stream) => far.handlers(stream);
  const stream = office.swarm.openStream(home.id, 'memory', near.handlers);
  stream.write(Uint8Array.of(0));
  t.true(await world.clock.until(() => far.heard.stream !== null));
  far.heard.stream!.pause();
  const part = new Uint8Array(64 * 1024).fill(7);
  let written = 1;
  while (stream.write(part)) written += part.length;
  written += part.length;
  t.true(await world.clock.until(() => stream.sentBytes === 256 * 1024));
  t.true(written < 512 * 1024);
  t.is(near.heard.drained, 0);
  far.heard.stream!.resume();
  t.true(await world.clock.until(() => near.heard.drained > 0 && far.heard.stream!.receivedBytes === written));
});

test('a stream that nobody wants is cut, and the session goes on', async (t) => {
  const { world, home, office } = await connectedPair();
  const near = listener();
  office.swarm.openStream(home.id, 'unasked', near.handlers);
  t.true(await world.clock.until(() => near.heard.closed !== null));
  t.deepEqual(near.heard.closed, { error: 'ABORTED' });
  t.is(office.swarm.peers().length, 1);
  t.deepEqual(home.misbehaviour, []);
});

test('the end of the session cuts every stream', async (t) => {
  const { world, home, office } = await connectedPair();
  const [near, far] = [listener(), listener()];
  home.onStream = (stream) => far.handlers(stream);
  office.swarm.openStream(home.id, 'memory', near.handlers);
  t.true(await world.clock.until(() => far.heard.stream !== null));
  await home.swarm.stop();
  t.true(await world.clock.until(() => near.heard.closed !== null));
  t.deepEqual(near.heard.closed, { error: 'PEER_UNREACHABLE' });
  t.deepEqual(far.heard.closed, { error: 'PEER_UNREACHABLE' });
  t.throws(() => office.swarm.openStream(home.id, 'memory', near.handlers), { code: 'PEER_UNREACHABLE' });
});

/** What is on its way, as seconds of the link, and the part of the link that was used, after a while of sending without end. */
async function saturated(rate: number, delayMs: number): Promise<{ waitsSeconds: number; used: number }> {
  const { world, home, office } = await connectedPair({ link: { rate, delayMs } });
  const arriving: PeerStream[] = [];
  office.onStream = (stream) => {
    arriving.push(stream);
    return { ...listener().handlers(stream), onData: () => undefined };
  };
  const part = new Uint8Array(64 * 1024).fill(7);
  const fill = (stream: PeerStream): void => {
    while (stream.write(part));
  };
  // As QEMU sends memory: two channels that bring much, and one that tells what they bring.
  const sending = ['much', 'more'].map((label) =>
    home.swarm.openStream(office.id, label, (opened) => ({
      ...listener().handlers(opened),
      onDrain: () => fill(opened),
    })),
  );
  for (const stream of sending) fill(stream);
  const little = home.swarm.openStream(office.id, 'little', (opened) => listener().handlers(opened));
  const sum = (bytes: readonly number[]): number => bytes.reduce((total, each) => total + each, 0);
  const sent = (): number => sum(sending.map(({ sentBytes }) => sentBytes));
  const received = (): number => sum(arriving.map(({ receivedBytes }) => receivedBytes));
  await world.clock.advance(60_000);
  const before = sent();
  let waitingBytes = 0;
  for (let second = 0; second < 30; second++) {
    little.write(Uint8Array.of(1));
    await world.clock.advance(1000);
    waitingBytes = Math.max(waitingBytes, sent() - received());
  }
  return { waitsSeconds: waitingBytes / rate, used: (sent() - before) / 30 / rate };
}

for (const [words, rate, delayMs] of [
  ['5 Mbit/s, 100 ms', 625_000, 50],
  ['20 Mbit/s, 20 ms', 2_500_000, 10],
  ['100 Mbit/s, 100 ms', 12_500_000, 50],
] as const) {
  test(`over ${words} little waits between the two however long streams go on, and the link is full`, async (t) => {
    const { waitsSeconds, used } = await saturated(rate, delayMs);
    t.true(waitsSeconds < 0.15 + (4 * delayMs) / 1000, `${waitsSeconds} s wait`);
    t.true(used > 0.9, `${used} of the link`);
  });
}
