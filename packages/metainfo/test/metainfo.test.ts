/** What torrents from outside must look like; every part of one that is wrong is refused, and whatever comes, nothing else happens. */
import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { chooseFile, encodeMetainfo, parseInfo, parseMetainfo, pieceBytesFor, strippedMetainfo } from '../src/index.ts';
import { bencode, type Value } from './bencode.ts';

const KIB = 1024;
const PIECE = 64 * KIB;
const hashes = (count: number): Buffer => Buffer.alloc(20 * count, 7);
const root = (byte: number): Buffer => Buffer.alloc(32, byte);

const ONE = { length: 100_000, name: 'disk.raw', 'piece length': PIECE, pieces: hashes(2) };
const SEVERAL = {
  files: [
    { length: PIECE - 24, path: ['docs', 'readme'] },
    { attr: 'p', length: 24, path: ['.pad', '24'] },
    { length: 100_000, path: ['disk.raw'] },
  ],
  name: 'bundle',
  'piece length': PIECE,
  pieces: hashes(3),
};
const HYBRID = {
  ...SEVERAL,
  'file tree': {
    docs: { readme: { '': { length: PIECE - 24, 'pieces root': root(1) } } },
    'disk.raw': { '': { length: 100_000, 'pieces root': root(2) } },
  },
  'meta version': 2,
};
/** The tree's dictionaries are sorted, so the disk comes first; the list says the same order. */
const HYBRID_LISTED = {
  ...HYBRID,
  files: [
    { length: 100_000, path: ['disk.raw'] },
    { attr: 'p', length: 2 * PIECE - 100_000, path: ['.pad', '1'] },
    { length: PIECE - 24, path: ['docs', 'readme'] },
  ],
};

const torrent = (info: Value, more: Record<string, Value> = {}): Uint8Array => bencode({ ...more, info });

test('a torrent of one file', (t) => {
  const parsed = parseMetainfo(
    torrent(ONE, {
      announce: 'http://tracker.example/announce',
      'announce-list': [['udp://tracker.example:6969'], ['file:///etc/passwd', 'wss://tracker.example']],
    }),
  );
  t.like(parsed, {
    infoHash: createHash('sha1').update(bencode(ONE)).digest('hex'),
    name: 'disk.raw',
    pieceBytes: PIECE,
    pieces: 2,
    totalBytes: 100_000,
    isPrivate: false,
    trackers: ['http://tracker.example/announce', 'udp://tracker.example:6969', 'wss://tracker.example'],
  });
  t.like(chooseFile(parsed, null), { path: ['disk.raw'], offsetBytes: 0, lengthBytes: 100_000, root: null });
  t.deepEqual(parseInfo(parsed.info, parsed.trackers), parsed);
});

test('stripped of what is not checked, it is the same torrent', (t) => {
  const parsed = parseMetainfo(
    torrent(ONE, { announce: 'http://t.example/', nodes: [['evil.example', 1]], 'url-list': 'http://evil.example/' }),
  );
  const stripped = strippedMetainfo(parsed);
  t.false(Buffer.from(stripped).includes('evil'));
  t.like(parseMetainfo(stripped), { infoHash: parsed.infoHash, trackers: ['http://t.example/'] });
  const alone = parseMetainfo(torrent(ONE));
  t.like(parseMetainfo(strippedMetainfo(alone)), { infoHash: parsed.infoHash, trackers: [] });
});

test('of several files one is chosen, with or without the name of the torrent', (t) => {
  const parsed = parseMetainfo(torrent(SEVERAL));
  t.throws(() => chooseFile(parsed, null), {
    code: 'TORRENT_INVALID',
    message: /--file; it has docs\/readme, disk\.raw$/,
  });
  for (const wanted of ['disk.raw', 'bundle/disk.raw']) t.like(chooseFile(parsed, wanted), { offsetBytes: PIECE });
  t.throws(() => chooseFile(parsed, '.pad/24'), { code: 'TORRENT_INVALID' });
});

test('a hybrid whose two parts agree brings the roots of its files', (t) => {
  const found = chooseFile(parseMetainfo(torrent(HYBRID_LISTED)), 'disk.raw').root;
  t.is(Buffer.from(found ?? []).toString('hex'), '02'.repeat(32));
});

const disagree = (name: string, info: Value): void =>
  test(`a hybrid is refused: ${name}`, (t) => {
    t.throws(() => parseMetainfo(torrent(info)), { code: 'TORRENT_INVALID' });
  });
const tree = HYBRID['file tree'];
disagree('the parts list files in another order', HYBRID);
disagree('another length', {
  ...HYBRID_LISTED,
  'file tree': { ...tree, 'disk.raw': { '': { length: 100_001, 'pieces root': root(2) } } },
});
disagree('another path', { ...HYBRID_LISTED, 'file tree': { docs: tree.docs, 'disk.rax': tree['disk.raw'] } });
disagree('one file more', { ...HYBRID_LISTED, 'file tree': { ...tree, more: { '': { length: 0 } } } });
disagree('a file that is a folder too', {
  ...HYBRID_LISTED,
  'file tree': { docs: tree.docs, 'disk.raw': { ...tree['disk.raw'], x: { '': { length: 0 } } } },
});
disagree('a root of the wrong length', {
  ...HYBRID_LISTED,
  'file tree': { ...tree, 'disk.raw': { '': { length: 100_000, 'pieces root': Buffer.alloc(31) } } },
});
disagree('a file that begins inside a piece', {
  ...HYBRID_LISTED,
  files: HYBRID_LISTED.files.map((file, at) => (at === 1 ? { ...file, length: file.length - 1 } : file)),
});
disagree('no tree', { ...ONE, 'meta version': 2 });
disagree('version 2 alone', { 'file tree': tree, 'meta version': 2, name: 'x', 'piece length': PIECE });
disagree('a version nobody knows', { ...HYBRID_LISTED, 'meta version': 3 });

const bad = (name: string, info: Value): void =>
  test(`refused: ${name}`, (t) => {
    t.throws(() => parseMetainfo(torrent(info)), { code: 'TORRENT_INVALID' });
  });
for (const name of ['..', '.', '', '/etc/passwd', 'a/b', 'a\\b', 'a\0b', 'a\nb', 'x'.repeat(256)]) {
  bad(`the name ${JSON.stringify(name.slice(0, 20))}`, { ...ONE, name });
  bad(`the path part ${JSON.stringify(name.slice(0, 20))}`, {
    ...SEVERAL,
    files: [{ length: 3 * PIECE, path: ['a', name] }],
  });
}
bad('a name that is not UTF-8', { ...ONE, name: Buffer.from([0xff, 0xfe]) });
bad('an empty path', { ...SEVERAL, files: [{ length: 3 * PIECE, path: [] }] });
bad('a path too deep', { ...SEVERAL, files: [{ length: 3 * PIECE, path: Array.from({ length: 33 }, () => 'a') }] });
bad('two files of one path', {
  ...SEVERAL,
  files: [1, 2].map(() => ({ length: PIECE, path: ['a'] })),
  pieces: hashes(2),
});
bad('no files', { ...SEVERAL, files: [] });
bad('one file and several', { ...SEVERAL, length: 3 });
bad('neither', { name: 'x', 'piece length': PIECE, pieces: hashes(1) });
for (const length of [0, -1, 2 ** 47]) bad(`a length of ${length}`, { ...ONE, length });
for (const length of [0, -65_536, 8 * KIB, 16 * KIB + 1, 64 * KIB * KIB])
  bad(`a piece length of ${length}`, { ...ONE, 'piece length': length });
bad('a hash too few', { ...ONE, pieces: hashes(1) });
bad('a hash too many', { ...ONE, pieces: hashes(3) });
bad('half a hash', { ...ONE, pieces: Buffer.alloc(39) });
bad('more pieces than are read', { ...ONE, length: 2 ** 19 * PIECE + 1, pieces: hashes(2 ** 19 + 1) });

for (const [name, text] of [
  ['nothing', ''],
  ['no info', 'de'],
  ['a list', 'le'],
  ['bytes behind its end', 'd4:infodeex'],
  ['cut short', 'd4:info'],
  ['a string longer than the rest', 'd4:info99:xe'],
  ['a key twice', 'd4:infode4:infodee'],
  ['nested too deeply', `d4:info${'l'.repeat(100)}${'e'.repeat(100)}e`],
] as const) {
  test(`no torrent: ${name}`, (t) => {
    t.throws(() => parseMetainfo(Buffer.from(text)), { code: 'TORRENT_INVALID' });
  });
}

test('a file of more than 16 MiB is not read', (t) => {
  t.throws(() => parseMetainfo(new Uint8Array(16 * KIB * KIB + 1)), { code: 'TORRENT_INVALID', message: /more than/ });
});

test('garbage, and a good torrent with bytes changed, is taken or refused, nothing else', (t) => {
  const good = torrent(HYBRID_LISTED);
  const change = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }));
  const judge = (bytes: Uint8Array): void => {
    try {
      const { pieces, pieceBytes, totalBytes } = parseMetainfo(bytes);
      t.is(pieces, Math.ceil(totalBytes / pieceBytes));
    } catch (error) {
      t.is((error as { code?: string }).code, 'TORRENT_INVALID');
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), judge));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const bytes = Uint8Array.from(good);
      for (const [at, byte] of changes) bytes[at] = byte;
      judge(bytes);
    }),
    { numRuns: 500 },
  );
});

test('what is written is read back, and always the same', (t) => {
  const made = {
    name: 'debian-3.raw',
    sizeBytes: 3 * PIECE,
    pieceBytes: PIECE,
    hashes: hashes(3),
    trackers: ['http://a.example/', 'http://b.example/'],
  };
  t.like(parseMetainfo(encodeMetainfo(made)), {
    name: made.name,
    totalBytes: made.sizeBytes,
    pieceBytes: PIECE,
    pieces: 3,
    trackers: made.trackers,
  });
  t.is(
    Buffer.from(encodeMetainfo({ ...made, sizeBytes: 5, hashes: Buffer.alloc(20, 65), trackers: [] })).toString(),
    `d10:created by9:diskswarm4:infod6:lengthi5e4:name12:debian-3.raw12:piece lengthi65536e6:pieces20:${'A'.repeat(20)}ee`,
  );
});

test('pieces are powers of two, at least a chunk, and few', (t) => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 2 ** 44 }), fc.integer({ min: 14, max: 20 }));
  fc.assert(
    fc.property(sizes, ([size, chunkBits]) => {
      const pieceBytes = pieceBytesFor(size, 2 ** chunkBits);
      t.true(Number.isInteger(Math.log2(pieceBytes)) && pieceBytes >= 2 ** chunkBits && size / pieceBytes <= 2 ** 19);
    }),
  );
  t.is(pieceBytesFor(768 * KIB * KIB, 64 * KIB), 256 * KIB);
  t.throws(() => pieceBytesFor(2 ** 45, 64 * KIB), { code: 'TORRENT_INVALID' });
});
