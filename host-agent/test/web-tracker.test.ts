/** At a tracker that speaks WebSocket: what is given is announced, offers for it are heard, and one that misbehaves is left and asked again. */
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocketServer } from 'ws';
import type { WebOffer } from '../src/torrent/web-messages.ts';
import { WebTracker } from '../src/torrent/web-tracker.ts';

const PEER = 'ab'.repeat(20);
const [FIRST, SECOND] = ['11'.repeat(20), '22'.repeat(20)] as const;
const SDP = 'v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n';
const text = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');

type Message = Readonly<Record<string, unknown>>;

interface Scene {
  readonly tracker: WebTracker;
  readonly offers: readonly WebOffer[];
  /** The next thing that the tracker is told, on whatever connection. */
  told(): Promise<Message>;
  /** Says something to everybody. */
  say(text: string): void;
}

async function scene(t: ExecutionContext): Promise<Scene> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once('listening', resolve));
  const queue: Message[] = [];
  let waiting: ((message: Message) => void) | null = null;
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (bytes: Buffer) => {
      queue.push(JSON.parse(bytes.toString()) as Message);
      if (waiting !== null) waiting(queue.shift()!);
      waiting = null;
    });
  });
  const offers: WebOffer[] = [];
  const tracker = new WebTracker({
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    peerId: PEER,
    onOffer: (offer) => {
      offers.push(offer);
      tracker.answer(offer, 'v=0 answer');
    },
  });
  t.teardown(() => {
    tracker.update(new Set());
    server.close();
    for (const socket of server.clients) socket.terminate();
  });
  return {
    tracker,
    offers,
    told: () => {
      const message = queue.shift();
      return message === undefined
        ? new Promise((resolve) => {
            waiting = resolve;
          })
        : Promise.resolve(message);
    },
    say: (what) => {
      for (const socket of server.clients) socket.send(what);
    },
  };
}

function offerFor(infoHash: string): string {
  const offer = { type: 'offer', sdp: SDP };
  return JSON.stringify({ action: 'announce', info_hash: text(infoHash), peer_id: text(PEER), offer_id: 'o', offer });
}

test('torrents come and go, and offers for others are not heard', async (t) => {
  const { tracker, offers, told, say } = await scene(t);
  tracker.update(new Set([FIRST]));
  t.like(await told(), { info_hash: text(FIRST), peer_id: text(PEER), event: 'started', left: 0, offers: [] });
  tracker.update(new Set([FIRST, SECOND]));
  t.like(await told(), { info_hash: text(SECOND), event: 'started' });
  tracker.update(new Set([SECOND]));
  t.like(await told(), { info_hash: text(FIRST), event: 'stopped' });
  say('nonsense');
  say(offerFor(FIRST));
  say(offerFor(SECOND));
  t.like(await told(), { to_peer_id: text(PEER), offer_id: 'o', answer: { type: 'answer', sdp: 'v=0 answer' } });
  t.deepEqual(offers, [{ infoHash: SECOND, peerId: PEER, offerId: 'o', sdp: SDP }]);
});

test('one who sends more than a message may have is left, and asked again', async (t) => {
  const { tracker, told, say } = await scene(t);
  tracker.update(new Set([FIRST]));
  t.like(await told(), { event: 'started' });
  say('x'.repeat(1024 * 1024 + 1));
  t.like(await told(), { info_hash: text(FIRST), event: 'started' }, 'on a new connection');
});
