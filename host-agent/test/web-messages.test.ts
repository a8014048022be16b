/** What is said at a tracker where browsers meet: an offer of one data channel is taken, with addresses in digits alone, and nothing else is. */
import test from 'ava';
import fc from 'fast-check';
import { formatAnnounce, formatAnswer, readDescription, readTrackerMessage } from '../src/torrent/web-messages.ts';

const INFO_HASH = '00ff'.repeat(10);
const PEER = 'ab'.repeat(20);
const text = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');

function description(more: readonly string[] = []): string {
  return [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    ...more,
    '',
  ].join('\r\n');
}

const candidate = (address: string, transport = 'udp'): string =>
  `a=candidate:1 1 ${transport} 2113937151 ${address} 4000 typ host generation 0`;

function offer(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    action: 'announce',
    info_hash: text(INFO_HASH),
    peer_id: text(PEER),
    offer_id: 'an offer',
    offer: { type: 'offer', sdp: description() },
    ...changes,
  });
}

test('an offer and an answer to an announce are read', (t) => {
  t.deepEqual(readTrackerMessage(offer()), {
    kind: 'offer',
    offer: { infoHash: INFO_HASH, peerId: PEER, offerId: 'an offer', sdp: description() },
  });
  const announced = (interval: unknown) =>
    readTrackerMessage(JSON.stringify({ action: 'announce', info_hash: text(INFO_HASH), interval, complete: 1 }));
  t.deepEqual(announced(120), { kind: 'announced', intervalSeconds: 120 });
  t.deepEqual(announced(0), { kind: 'announced', intervalSeconds: 30 }, 'a tracker is not asked without a pause');
  t.deepEqual(announced(1e12), { kind: 'announced', intervalSeconds: 900 });
  t.is(announced('120'), null);
});

const refused = test.macro((t, message: string) => t.is(readTrackerMessage(message), null));

test('no JSON', refused, '{"action":"announce"');
test('no object', refused, '[1]');
test('another action', refused, offer({ action: 'scrape' }));
test('an answer to an offer that was never made', refused, offer({ offer: undefined, answer: { type: 'answer' } }));
test('an info hash of another length', refused, offer({ info_hash: 'short' }));
test('an info hash that is no bytes', refused, offer({ info_hash: '\u{100}'.repeat(20) }));
test('a peer id that is none', refused, offer({ peer_id: 7 }));
test('an offer id that is none', refused, offer({ offer_id: { a: 1 } }));
test('a long offer id', refused, offer({ offer_id: 'x'.repeat(65) }));
test('an offer that is none', refused, offer({ offer: 'v=0' }));
test('an answer as an offer', refused, offer({ offer: { type: 'answer', sdp: description() } }));
test('an offer without a description', refused, offer({ offer: { type: 'offer' } }));

test('a description keeps addresses in digits, and no names', (t) => {
  const kept = [candidate('192.0.2.7'), candidate('2001:db8::7', 'UDP')];
  const left = [
    candidate('7e1c.local'),
    candidate('metadata.example.com'),
    candidate('192.0.2.7', 'tcp'),
    'a=candidate:1 1 udp',
  ];
  t.is(readDescription(description([...kept, ...left])), description(kept));
  const many = Array.from({ length: 40 }, (_, at) => candidate(`192.0.2.${at}`));
  t.is(readDescription(description(many)), description(many.slice(0, 16)));
});

test('a description of anything else is refused', (t) => {
  t.is(readDescription(description(['m=audio 9 UDP/TLS/RTP/SAVPF 111'])), null);
  t.is(readDescription('v=0\r\n'), null);
  t.is(readDescription(description(['a=\0'])), null);
  t.is(readDescription(description(['x'])), null);
  t.is(readDescription(description(['a='.padEnd(17_000, 'x')])), null);
  t.is(readDescription(5), null);
});

test('whatever a tracker sends is read or refused', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (message) => {
      readTrackerMessage(message);
      return true;
    }),
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('info_hash', 'peer_id', 'offer_id', 'offer'), fc.jsonValue()),
      (changes) => {
        const read = readTrackerMessage(offer(changes));
        return read === null || read.kind === 'offer' || Object.hasOwn(changes, 'offer');
      },
    ),
  );
  t.pass();
});

test('an announce offers nothing, and says that all of it is here', (t) => {
  t.deepEqual(JSON.parse(formatAnnounce({ infoHash: INFO_HASH, peerId: PEER, event: 'started' })), {
    action: 'announce',
    info_hash: text(INFO_HASH),
    peer_id: text(PEER),
    event: 'started',
    numwant: 0,
    uploaded: 0,
    downloaded: 0,
    left: 0,
    offers: [],
  });
});

test('an answer goes to who offered', (t) => {
  const own = 'cd'.repeat(20);
  const to = { infoHash: INFO_HASH, peerId: PEER, offerId: 'an offer', sdp: description() };
  t.deepEqual(JSON.parse(formatAnswer(to, own, 'v=0')), {
    action: 'announce',
    info_hash: text(INFO_HASH),
    peer_id: text(own),
    to_peer_id: text(PEER),
    offer_id: 'an offer',
    answer: { type: 'answer', sdp: 'v=0' },
  });
});
