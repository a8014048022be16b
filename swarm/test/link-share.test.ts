/** How one link is shared between memory, faults and background (virtual time): parts, limits, and nobody starved. */
import test from 'ava';
import type { PeerStream } from '../src/index.ts';
import { generationOne, piece } from './helpers/test-host.ts';
import { connectedPair, type Pair } from './helpers/world.ts';

const CHUNK = 65_536;
/** 20 Mbit/s. */
const SLOW = 2_500_000;
const PART = new Uint8Array(CHUNK).fill(7);

interface Traffic {
  readonly pair: Pair;
  readonly stream: PeerStream;
  /** What arrived at office since the last call. */
  arrived(): { memory: number; background: number };
}

/** Home sends memory without end to office, which asks for as many chunks as it can. */
async function busyLink({ reads = true }: { reads?: boolean } = {}): Promise<Traffic> {
  const pair = await connectedPair({ pieces: 2000 });
  const { home, office, atOffice, world } = pair;
  world.network.link('home').rate = SLOW;
  world.network.link('home').delayMs = 10;
  let memory = 0;
  office.onStream = (stream) => {
    if (!reads) stream.pause();
    return {
      onData: (bytes) => {
        memory += bytes.length;
      },
      onDrain: () => undefined,
      onEnd: () => undefined,
      onClose: () => undefined,
    };
  };
  const fill = (stream: PeerStream): void => {
    while (stream.write(PART));
  };
  const stream = home.swarm.openStream(office.id, 'memory', (opened) => ({
    onData: () => undefined,
    onDrain: () => fill(opened),
    onEnd: () => undefined,
    onClose: () => undefined,
  }));
  fill(stream);
  let before = { memory: 0, background: 0 };
  const arrived = (): { memory: number; background: number } => {
    const now = { memory, background: atOffice.pieces.length * CHUNK };
    const since = { memory: now.memory - before.memory, background: now.background - before.background };
    before = now;
    return since;
  };
  for (let index = 0; index < 400; index++)
    atOffice.ready[0]!.request({ generation: generationOne, piece: piece(index), lane: 'bulk' });
  return { pair, stream, arrived };
}

for (const backgroundPart of [0.1, 0.5]) {
  test(`the background gets ${backgroundPart} of what leaves while memory waits, and everything when memory is through`, async (t) => {
    const { pair, stream, arrived } = await busyLink();
    pair.home.swarm.splitLink(pair.office.id, { bytesPerSecond: null, backgroundPart });
    await pair.world.clock.advance(1000);
    arrived();
    await pair.world.clock.advance(4000);
    const { memory, background } = arrived();
    const part = background / (memory + background);
    t.true(Math.abs(part - backgroundPart) < 0.06, `${part} of what arrived was background`);
    t.true(memory + background > 0.9 * 4 * SLOW, 'the link was used');
    stream.destroy();
    await pair.world.clock.advance(500);
    arrived();
    await pair.world.clock.advance(1000);
    t.true(arrived().background > 0.85 * SLOW);
  });
}

test('a fault does not wait for a part: not for memory, nor for background', async (t) => {
  const { pair } = await busyLink();
  pair.home.swarm.splitLink(pair.office.id, { bytesPerSecond: null, backgroundPart: 0.1 });
  await pair.world.clock.advance(1000);
  const before = pair.world.clock.nowUs();
  const token = pair.atOffice.ready[0]!.request({ generation: generationOne, piece: piece(900), lane: 'control' });
  t.true(await pair.world.clock.until(() => pair.atOffice.pieces.some((arrived) => arrived.token === token)));
  const ms = (pair.world.clock.nowUs() - before) / 1000;
  // 26 ms for the chunk and 20 for the way there and back; what both others have in the connection goes before it.
  t.true(ms < 200, `${ms} ms`);
});

test('a limit holds for memory and background together', async (t) => {
  const { pair, arrived } = await busyLink();
  const bytesPerSecond = SLOW / 5;
  pair.home.swarm.splitLink(pair.office.id, { bytesPerSecond, backgroundPart: 0.5 });
  await pair.world.clock.advance(2000);
  arrived();
  await pair.world.clock.advance(4000);
  const { memory, background } = arrived();
  const rate = (memory + background) / 4;
  t.true(rate > 0.85 * bytesPerSecond && rate < 1.15 * bytesPerSecond, `${rate} bytes a second`);
  t.true(memory > 0 && background > 0);
  pair.home.swarm.splitLink(pair.office.id, null);
  await pair.world.clock.advance(1000);
  arrived();
  await pair.world.clock.advance(2000);
  const free = arrived();
  t.true(free.memory + free.background > 0.85 * 2 * SLOW);
});

test('memory that the other side does not read does not starve the background', async (t) => {
  const { pair, arrived } = await busyLink({ reads: false });
  pair.home.swarm.splitLink(pair.office.id, { bytesPerSecond: null, backgroundPart: 0.1 });
  await pair.world.clock.advance(2000);
  arrived();
  await pair.world.clock.advance(2000);
  const { memory, background } = arrived();
  t.is(memory, 0);
  t.true(background > 0.85 * 2 * SLOW, `${background / CHUNK} chunks in two seconds`);
});
