/** Announces and scrapes from client to tracker: golden URLs, round trips, garbage. */
import test from 'ava';
import fc from 'fast-check';
import {
  type AnnounceRequest,
  buildAnnounceUrl,
  buildScrapeUrl,
  MAX_QUERY_CHARS,
  MAX_QUERY_PARAMETERS,
  MAX_SCRAPE_HASHES,
  parseAnnounceRequest,
  parseQuery,
  parseScrapeRequest,
  percentDecode,
  percentEncode,
} from '../src/index.ts';

const request: AnnounceRequest = {
  infoHash: '123456789abcdef123456789abcdef123456789a',
  peerId: new TextEncoder().encode('-DS0100-abcdefghij~_'),
  port: 6881,
  uploadedBytes: 1,
  downloadedBytes: 2,
  leftBytes: 3,
  event: 'started',
  peersWanted: 50,
};
/** The encoding that BEP 3's examples use for this hash. */
const GOLDEN_URL =
  'http://tracker.example:6969/announce?info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-DS0100-abcdefghij~_&port=6881&uploaded=1&downloaded=2&left=3&compact=1&event=started&numwant=50';

function queryOf(url: string): string {
  return url.slice(url.indexOf('?') + 1);
}

test('the URL of an announce has its golden form', (t) => {
  t.is(buildAnnounceUrl('http://tracker.example:6969/announce', request), GOLDEN_URL);
});

test('a tracker URL keeps its own parameters, and other schemes are refused', (t) => {
  const url = buildAnnounceUrl('https://tracker.example/x/announce?key=a%20b', request);
  t.true(url.startsWith('https://tracker.example/x/announce?key=a%20b&info_hash='));
  for (const wrong of [
    'udp://tracker.example:1/announce',
    'tracker',
    'http://user:word@tracker.example/announce',
    'file:///etc/passwd',
  ]) {
    t.throws(() => buildAnnounceUrl(wrong, request), { code: 'INVALID_ARGUMENT' });
  }
});

const twentyBytes = fc.uint8Array({ minLength: 20, maxLength: 20 });
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });

test('what a client asks is what a tracker reads', (t) => {
  const arbitrary = fc.record<AnnounceRequest>({
    infoHash: twentyBytes.map((bytes) => Buffer.from(bytes).toString('hex')),
    peerId: twentyBytes,
    port: fc.integer({ min: 1, max: 65_535 }),
    uploadedBytes: count,
    downloadedBytes: count,
    leftBytes: count,
    event: fc.constantFrom('started', 'stopped', 'completed', 'none'),
    peersWanted: fc.option(fc.nat()),
  });
  fc.assert(
    fc.property(arbitrary, (asked) => {
      const url = buildAnnounceUrl('http://127.0.0.1:1/announce', asked);
      t.is(new URL(url).href, url);
      t.deepEqual(parseAnnounceRequest(parseQuery(queryOf(url))), asked);
    }),
  );
});

test('bytes survive percent-encoding, and decoding takes what clients send', (t) => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => t.deepEqual(percentDecode(percentEncode(bytes)), bytes)));
  t.deepEqual(percentDecode('+%2b%zz%4'), new TextEncoder().encode('++%zz%4'));
});

test('an announce that lacks something is refused by name', (t) => {
  const full = queryOf(GOLDEN_URL);
  const without = (name: string, instead = ''): string =>
    full.replace(new RegExp(`(^|&)${name}=[^&]*`), instead === '' ? '' : `$1${name}=${instead}`);
  const cases: [string, string][] = [
    [without('info_hash'), 'info_hash'],
    [without('info_hash', '%00'), 'info_hash'],
    [without('peer_id'), 'peer_id'],
    [without('port'), 'port'],
    [without('port', '0'), 'port'],
    [without('port', '65536'), 'port'],
    [without('port', '1e3'), 'port'],
    [without('left', '-1'), 'left'],
    [without('uploaded', '99999999999999999'), 'uploaded'],
  ];
  for (const [query, field] of cases) {
    const error = t.throws(() => parseAnnounceRequest(parseQuery(query)), { code: 'INVALID_ARGUMENT' }, query);
    t.is((error as unknown as { data: { field: string } }).data.field, field);
  }
});

test('numwant below zero and unknown events mean the default', (t) => {
  const query = queryOf(GOLDEN_URL).replace('numwant=50', 'numwant=-1').replace('event=started', 'event=paused');
  const read = parseAnnounceRequest(parseQuery(query));
  t.is(read.peersWanted, null);
  t.is(read.event, 'none');
});

test('queries are bounded and garbage is refused as such', (t) => {
  t.throws(() => parseQuery('a'.repeat(MAX_QUERY_CHARS + 1)), { code: 'LIMIT_EXCEEDED' });
  t.throws(() => parseQuery('a=1&'.repeat(MAX_QUERY_PARAMETERS)), { code: 'LIMIT_EXCEEDED' });
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      for (const parse of [parseAnnounceRequest, parseScrapeRequest]) {
        t.throws(() => parse(parseQuery(text)), { code: 'INVALID_ARGUMENT' });
      }
    }),
  );
});

test('a scrape names its hashes once each, and at least one', (t) => {
  const hashes = ['00'.repeat(20), 'ff'.repeat(20)];
  const url = buildScrapeUrl('http://tracker.example/announce', [...hashes, hashes[0] as string]);
  t.is(url.split('?')[0], 'http://tracker.example/scrape');
  t.deepEqual(parseScrapeRequest(parseQuery(queryOf(url))), hashes);
  t.throws(() => parseScrapeRequest(parseQuery('')), { code: 'INVALID_ARGUMENT' });
  const many = Array.from({ length: MAX_SCRAPE_HASHES + 1 }, () => `info_hash=${'a'.repeat(20)}`).join('&');
  t.throws(() => parseScrapeRequest(parseQuery(many)), { code: 'INVALID_ARGUMENT' });
  t.throws(() => buildScrapeUrl('http://tracker.example/', hashes), { code: 'INVALID_ARGUMENT' });
});
