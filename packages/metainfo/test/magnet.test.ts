/** Magnet links: what is read of foreign ones, and that ours come back. */
import test from 'ava';
import fc from 'fast-check';
import { formatMagnet, isTracker, parseMagnet } from '../src/index.ts';

const HASH = 'ab'.repeat(20);

test('a link as others write it', (t) => {
  const text = `magnet:?xt=urn:btih:${HASH.toUpperCase()}&dn=a+disk&tr=udp%3A%2F%2Ft.example%3A80&tr.1=http://u.example/announce&x.pe=10.0.0.1:6881&x.pe=nonsense&xs=http://evil.example/x.torrent&ws=http://evil.example/&tr=gopher://x&xt=urn:btmh:1220${'00'.repeat(32)}`;
  t.deepEqual(parseMagnet(text), {
    infoHash: HASH,
    name: 'a disk',
    trackers: ['udp://t.example:80', 'http://u.example/announce'],
    peers: ['10.0.0.1:6881'],
  });
});

test('an info hash in base 32', (t) => {
  t.is(parseMagnet(`magnet:?xt=urn:btih:${'A'.repeat(31)}B`).infoHash, `${'0'.repeat(39)}1`);
  t.is(
    parseMagnet('magnet:?xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh').infoHash,
    '0123456789abcdef0123456789abcdef01234567',
  );
});

for (const [name, text] of [
  ['no link', 'http://x'],
  ['no topic', 'magnet:?dn=x'],
  ['a short hash', 'magnet:?xt=urn:btih:abcd'],
  ['no hash', `magnet:?xt=urn:sha1:${HASH}`],
  ['two torrents', `magnet:?xt=urn:btih:${HASH}&xt=urn:btih:${'00'.repeat(20)}`],
  ['version 2 alone', `magnet:?xt=urn:btmh:1220${'00'.repeat(32)}`],
  ['too long', `magnet:?xt=urn:btih:${HASH}&dn=${'x'.repeat(4096)}`],
] as const) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => parseMagnet(text), { code: 'TORRENT_INVALID' });
  });
}

test('ours come back, and garbage is refused', (t) => {
  const name = fc.string({ maxLength: 40, unit: 'grapheme' }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(name, (dn) => {
      const link = {
        infoHash: HASH,
        name: dn,
        trackers: ['http://t.example/announce?a=1&b=2'],
        peers: ['[::1]:1', 'h.example:2'],
      };
      t.deepEqual(parseMagnet(formatMagnet(link)), link);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const error = t.throws(() => parseMagnet(`magnet:?${text}`));
      t.is((error as { code?: string } | undefined)?.code, 'TORRENT_INVALID');
    }),
  );
});

test('trackers are HTTP, UDP or WebSocket, without a password', (t) => {
  for (const url of ['http://a/', 'https://a/announce', 'udp://a:1', 'ws://a', 'wss://a']) t.true(isTracker(url), url);
  for (const url of ['', 'ftp://a', 'file:///x', 'http://u:p@a/', `http://${'a'.repeat(2000)}`])
    t.false(isTracker(url), url);
});
