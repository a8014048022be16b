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
