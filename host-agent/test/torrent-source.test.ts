/** A file of a torrent as an image: from a real client, through a thread, and everything that may keep it from coming. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import { formatMagnet, MerkleRoot, parseMetainfo } from '@diskswarm/metainfo';
import test, { type ExecutionContext } from 'ava';
import type { ImageSource } from '../src/images/image-source.ts';
import { SeedStore } from '../src/torrent/seed-store.ts';
import { openTorrent } from '../src/torrent/torrent-source.ts';
import { TorrentClient } from '../src/torrent/webtorrent-client.ts';

const PIECE = 64 * 1024;
const LOOPBACK = '127.0.0.1:0';

type Value = number | string | Uint8Array | { readonly [key: string]: Value };

function bencode(value: Value): Buffer {
  if (typeof value === 'number') return Buffer.from(`i${value}e`);
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const keys = Object.keys(value).sort();
  return Buffer.concat([
    Buffer.from('d'),
    ...keys.flatMap((key) => [bencode(key), bencode(value[key] as Value)]),
    Buffer.from('e'),
  ]);
}

/** A torrent of one file; with `root` a hybrid. */
function torrentOf(bytes: Uint8Array, root?: Uint8Array): Buffer {
  const hashes: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PIECE)
    hashes.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + PIECE))
        .digest(),
    );
  const tree =
    root === undefined
      ? {}
      : { 'file tree': { 'd.raw': { '': { length: bytes.length, 'pieces root': root } } }, 'meta version': 2 };
  return bencode({
    info: { ...tree, length: bytes.length, name: 'd.raw', 'piece length': PIECE, pieces: Buffer.concat(hashes) },
  });
}

/** Seeds it, and gives the link. */
async function seed(
  t: ExecutionContext,
  torrent: Uint8Array,
  bytes: Uint8Array,
  asked: (lengthBytes: number) => void = () => {},
): Promise<string> {
  const client = await TorrentClient.start({ listen: LOOPBACK, dht: false });
  t.teardown(() => client.stop());
  const read = async (offset: number, length: number): Promise<Uint8Array> => bytes.slice(offset, offset + length);
  const store = new SeedStore({
    sizeBytes: bytes.length,
    pieceBytes: PIECE,
    read,
    spend: async (length) => asked(length),
  });
  await new Promise((resolve) => client.seed(torrent, store).once('ready', resolve));
  const { infoHash } = parseMetainfo(torrent);
  return formatMagnet({ infoHash, name: 'd', trackers: [], peers: [`127.0.0.1:${client.port}`] });
}

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'dst-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function open(
  location: string,
  scratchFolder: string,
  more: { signal?: AbortSignal; stallMs?: number; clock?: Clock } = {},
): Promise<ImageSource> {
  const { signal = new AbortController().signal, stallMs = 60_000, clock = systemClock } = more;
  return openTorrent({ location, file: null, scratchFolder, listen: LOOPBACK, clock, signal, stallMs });
}

/** All of an image, part by part as an import reads it. */
async function readAll(source: ImageSource): Promise<Buffer> {
  const bytes = Buffer.alloc(source.sizeBytes);
  for (let at = 0; at < bytes.length; at += 100_000) await source.read(bytes.subarray(at, at + 100_000), at);
  return bytes;
}

function rootOf(bytes: Uint8Array): Uint8Array {
  const merkle = new MerkleRoot();
  merkle.update(bytes);
  return merkle.digest();
}

test.serial('a hybrid by its magnet link, whose two parts agree', async (t) => {
  const bytes = randomBytes(10 * PIECE + 512);
  const place = folder(t);
  const source = await open(await seed(t, torrentOf(bytes, rootOf(bytes)), bytes), place);
  t.is(source.sizeBytes, bytes.length);
  t.true(bytes.equals(await readAll(source)));
  await source.close();
  t.deepEqual(readdirSync(place), []);
});

test.serial(
  'a hybrid whose version 2 part is of other bytes is refused before its end, and nothing stays',
  async (t) => {
    const bytes = randomBytes(10 * PIECE + 512);
    const place = folder(t);
    const source = await open(await seed(t, torrentOf(bytes, rootOf(randomBytes(10))), bytes), place);
    await t.throwsAsync(readAll(source), { code: 'TORRENT_INVALID', message: /disagree/ });
    await source.close();
    t.deepEqual(readdirSync(place), []);
  },
);

test.serial('bytes that are not what the hashes say are never handed out', async (t) => {
  const bytes = randomBytes(4 * PIECE);
  const others = Buffer.from(bytes);
  others[3 * PIECE + 5]! ^= 1;
  let asked = 0;
  const askedAgain = Promise.withResolvers<void>();
  const magnet = await seed(t, torrentOf(bytes), others, (length) => {
    asked += length;
    if (asked > bytes.length) askedAgain.resolve();
  });
  let giveUp = (): void => {};
  const clock: Clock = {
    ...systemClock,
    setTimer: (_delayMs, callback) => {
      giveUp = callback;
      return { cancel: () => {} };
    },
  };
  const source = await open(magnet, folder(t), { clock });
  const last = t.throwsAsync(source.read(new Uint8Array(PIECE), 3 * PIECE), { code: 'TORRENT_STALLED' });
  await source.read(new Uint8Array(3 * PIECE), 0);
  await askedAgain.promise;
  giveUp();
  await last;
  await source.close();
});

test.serial('where nobody has it, it is given up, and can be tried again', async (t) => {
  const place = folder(t);
  const bytes = randomBytes(2 * PIECE);
  const torrent = path.join(place, 'x.torrent');
  writeFileSync(torrent, torrentOf(bytes));
  const lonely = formatMagnet({ infoHash: 'ab'.repeat(20), name: '', trackers: [], peers: ['127.0.0.1:1'] });
  await t.throwsAsync(open(lonely, place, { stallMs: 300 }), {
    code: 'TORRENT_STALLED',
    message: /nobody told what is in it/,
  });
  const magnet = await seed(t, torrentOf(bytes), bytes);
  const source = await open(magnet, place);
  t.true(bytes.equals(await readAll(source)));
  await source.close();
});

test.serial('one file is imported once at a time; giving up ends it', async (t) => {
  const place = folder(t);
  const lonely = formatMagnet({ infoHash: 'cd'.repeat(20), name: '', trackers: [], peers: ['127.0.0.1:1'] });
  const giveUp = new AbortController();
  const first = open(lonely, place, { signal: giveUp.signal });
  const aborted = t.throwsAsync(first, { code: 'ABORTED' });
  await t.throwsAsync(open(lonely, place), { code: 'LIMIT_EXCEEDED' });
  giveUp.abort();
  await aborted;
  await t.throwsAsync(open(lonely, place, { stallMs: 100 }), { code: 'TORRENT_STALLED' });
});

test.serial('a .torrent file that is none, is too large or is missing', async (t) => {
  const place = folder(t);
  writeFileSync(path.join(place, 'large.torrent'), Buffer.alloc(17 * 1024 * 1024));
  writeFileSync(path.join(place, 'none.torrent'), 'no');
  for (const name of ['large.torrent', 'none.torrent', 'missing.torrent', '.'])
    await t.throwsAsync(open(path.join(place, name), place), { code: 'TORRENT_INVALID' }, name);
});
