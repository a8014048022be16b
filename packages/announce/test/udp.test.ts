/** Announces as datagrams: the bytes of BEP 15, and what is refused. */
import {
  encodeUdpAnnounce,
  encodeUdpConnect,
  encodeUdpError,
  encodeUdpScrape,
  parseUdpRequest,
  UDP_PEERS_AT,
  type UdpRequest,
} from '@diskswarm/announce';
import test from 'ava';
import fc from 'fast-check';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const HASH = '0123456789abcdef0123456789abcdef01234567';
const ANNOUNCE = hex(`
  1122334455667788 00000001 cafebabe ${HASH} ${'41'.repeat(20)}
  0000000000000001 0000000000000000 0000000100000002 00000002 7f000001 00000009 ffffffff 1ae1`);

test('the three requests are read as BEP 15 has them', (t) => {
  t.deepEqual(parseUdpRequest(hex('0000041727101980 00000000 00000007')), { kind: 'connect', transaction: 7 });
  const announce = parseUdpRequest(ANNOUNCE) as UdpRequest & { kind: 'announce' };
  const { peerId, downloadedBytes, uploadedBytes } = announce.request;
  t.deepEqual([Buffer.from(peerId).toString(), downloadedBytes, uploadedBytes], ['A'.repeat(20), 1, 2 ** 32 + 2]);
  t.like(announce, {
    kind: 'announce',
    connectionHigh: 0x11223344,
    connectionLow: 0x55667788,
    transaction: 0xcafebabe,
    request: {
      infoHash: HASH,
      port: 6881,
      leftBytes: 0,
      event: 'started',
      peersWanted: null,
    },
  });
  t.like(parseUdpRequest(hex(`1122334455667788 00000002 00000001 ${HASH} ${'ff'.repeat(20)}`)), {
    kind: 'scrape',
    infoHashes: [HASH, 'ff'.repeat(20)],
  });
});

const changed = (at: number, value: number): Buffer => {
  const bytes = Buffer.from(ANNOUNCE);
  bytes.writeUInt32BE(value, at);
  return bytes;
};

for (const [what, bytes] of Object.entries({
  'an empty datagram': Buffer.alloc(0),
  'a connect without its magic number': hex('0000041727101981 00000000 00000007'),
  'an announce cut short': ANNOUNCE.subarray(0, 97),
  'an unknown event': changed(80, 4),
  'an announce without a port': Buffer.concat([ANNOUNCE.subarray(0, 96), hex('0000')]),
  'an unknown action': changed(8, 9),
  'a scrape of nothing': hex('1122334455667788 00000002 00000001'),
  'a scrape of half a hash': hex(`1122334455667788 00000002 00000001 ${HASH} 00`),
  'a scrape of too many': Buffer.concat([hex('1122334455667788 00000002 00000001'), Buffer.alloc(20 * 75)]),
})) {
  test(`refused: ${what}`, (t) => t.is(parseUdpRequest(bytes), null));
}

test('numbers beyond what we count with are brought into it; a wish for peers may be left to us', (t) => {
  const huge = Buffer.from(ANNOUNCE);
  huge.fill(0xff, 56, 80);
  huge.writeInt32BE(50, 92);
  const read = parseUdpRequest(huge) as UdpRequest & { kind: 'announce' };
  t.is(read.request.leftBytes, Number.MAX_SAFE_INTEGER);
  t.is(read.request.peersWanted, 50);
});

test('the answers have the bytes of BEP 15', (t) => {
  t.deepEqual(encodeUdpConnect(7, 1, 2), hex('00000000 00000007 00000001 00000002'));
  const answer = encodeUdpAnnounce(7, { intervalSeconds: 120, seeders: 3, leechers: 4 }, 6);
  answer.set(hex('0a0000011ae1'), UDP_PEERS_AT);
  t.deepEqual(answer, hex('00000001 00000007 00000078 00000004 00000003 0a0000011ae1'));
  t.deepEqual(
    encodeUdpScrape(7, [{ seeders: 1, leechers: 2, completed: 3 }]),
    hex('00000002 00000007 00000001 00000003 00000002'),
  );
  t.deepEqual(encodeUdpError(7, 'no'), hex('00000003 00000007 6e6f'));
});

test('whatever comes is a request or nothing, and never a crash', (t) => {
  const action = fc.constantFrom(0, 1, 2, 3, 77);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), action, (bytes, kind) => {
      const datagram = Buffer.from(bytes);
      if (datagram.length >= 12) datagram.writeUInt32BE(kind, 8);
      const read = parseUdpRequest(datagram);
      t.true(read === null || datagram.length >= 16);
      if (read?.kind === 'announce') t.true(read.request.port > 0 && read.request.leftBytes >= 0);
      if (read?.kind === 'scrape') t.is(read.infoHashes.length * 20 + 16, datagram.length);
    }),
  );
});
