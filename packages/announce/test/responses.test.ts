/** Answers from tracker to client: golden bytes, what foreign trackers send, garbage. */
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  encodeAnnounceResponse,
  encodeFailure,
  encodeScrapeResponse,
  MAX_RESPONSE_BYTES,
  packEndpoint,
  packPeer,
  parseAnnounceResponse,
  parseScrapeResponse,
  unpackPeer,
  unpackPeers,
} from '../src/index.ts';

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

test('an answer has its golden bytes', (t) => {
  const bytes = encodeAnnounceResponse({
    intervalSeconds: 120,
    minIntervalSeconds: 5,
    seeders: 1,
    leechers: 2,
    peers: [packPeer('10.1.2.3:6881'), packPeer('[2001:db8::1]:80'), packPeer('127.0.0.1:65535')],
  });
  const expected =
    'd8:completei1e10:incompletei2e8:intervali120e12:min intervali5e' +
    '5:peers12:\x0a\x01\x02\x03\x1a\xe1\x7f\x00\x00\x01\xff\xff' +
    '6:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50e';
  t.is(Buffer.from(bytes).toString('latin1'), expected);
  t.deepEqual(parseAnnounceResponse(bytes), {
    intervalSeconds: 120,
    minIntervalSeconds: 5,
    seeders: 1,
    leechers: 2,
    peers: ['10.1.2.3:6881', '127.0.0.1:65535', '[2001:db8::1]:80'],
    warning: null,
  });
});

test('addresses survive packing; a mapped IPv4 address is IPv4', (t) => {
  const address = fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }));
  fc.assert(
    fc.property(address, ([ip, port]) => {
      const packed = packPeer(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
      t.deepEqual(packPeer(unpackPeer(packed)), packed);
      if (!ip.includes(':')) t.is(unpackPeer(packed), `${ip}:${port}`);
    }),
  );
  t.is(unpackPeer(packPeer('[::ffff:10.0.0.7]:1')), '10.0.0.7:1');
  t.is(unpackPeer(packPeer('[::1]:1')), '[::1]:1');
  t.is(unpackPeer(packEndpoint('fe80::1%eth0', 1)), '[fe80::1]:1');
  t.throws(() => packPeer('example.org:1'), { code: 'INVALID_ARGUMENT' });
  t.throws(() => packPeer('1.2.3.256:1'), { code: 'INVALID_ARGUMENT' });
});

test('a cut tail and port 0 are left out', (t) => {
  t.deepEqual(unpackPeers(Uint8Array.of(1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 0, 0, 1, 2), 4, 10), ['1.2.3.4:5']);
  t.deepEqual(unpackPeers(new Uint8Array(60).fill(1), 4, 3).length, 3);
});

test('the list form, another order of keys and odd values of foreign trackers are read', (t) => {
  const list =
    'd5:peersld2:ip9:127.0.0.14:porti6881eed2:ip3:::14:porti1eed2:ip11:example.org4:porti1eed4:porti1eei5ee8:intervali-5e7:unknownle15:warning message4:slowe';
  t.deepEqual(parseAnnounceResponse(latin1(list)), {
    intervalSeconds: 1800,
    minIntervalSeconds: 0,
    seeders: 0,
    leechers: 0,
    peers: ['127.0.0.1:6881', '[::1]:1'],
    warning: 'slow',
  });
  t.is(parseAnnounceResponse(latin1('d8:intervali999999999ee')).intervalSeconds, 86_400);
});

test("a refusal arrives with the tracker's words", (t) => {
  const error = t.throws(() => parseAnnounceResponse(encodeFailure('no such swarm')), { code: 'PEER_UNREACHABLE' });
  t.true(error?.message.includes('no such swarm'));
});

test('garbage, cut and oversized answers are FORMAT_INVALID, and nothing else', (t) => {
  const whole = encodeAnnounceResponse({
    intervalSeconds: 1,
    minIntervalSeconds: 1,
    seeders: 0,
    leechers: 0,
    peers: [packPeer('1.2.3.4:5')],
  });
  const wrong = [
    '',
    'i1e',
    'de5',
    '<html>',
    'd5:peersi1ee',
    'd3:abci01ee',
    'd3:abc99:xe',
    `${'l'.repeat(20)}${'e'.repeat(20)}`,
    'd1:ai--1ee',
  ];
  const cuts = Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length));
  for (const bytes of [...wrong.map(latin1), ...cuts, new Uint8Array(MAX_RESPONSE_BYTES + 1).fill(0x6c)]) {
    t.throws(() => parseAnnounceResponse(bytes), { code: 'FORMAT_INVALID' });
    t.throws(() => parseScrapeResponse(bytes), { code: 'FORMAT_INVALID' });
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseAnnounceResponse(Buffer.concat([latin1('d'), bytes]));
      } catch (error) {
        t.true(error instanceof DiskswarmError);
      }
    }),
  );
  t.pass();
});

test('a scrape answer has its golden bytes and survives the way', (t) => {
  const counts = new Map([
    ['ff'.repeat(20), { seeders: 0, leechers: 0, completed: 0 }],
    ['00'.repeat(20), { seeders: 1, leechers: 2, completed: 3 }],
  ]);
  const bytes = encodeScrapeResponse(counts);
  const expected =
    `d5:filesd20:${'\x00'.repeat(20)}d8:completei1e10:downloadedi3e10:incompletei2ee` +
    `20:${'\xff'.repeat(20)}d8:completei0e10:downloadedi0e10:incompletei0eeee`;
  t.is(Buffer.from(bytes).toString('latin1'), expected);
  t.deepEqual(new Map([...parseScrapeResponse(bytes)].reverse()), counts);
  t.throws(() => parseScrapeResponse(encodeFailure('busy')), { code: 'PEER_UNREACHABLE' });
});
