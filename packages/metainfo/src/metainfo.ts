/**
 * A torrent's metainfo (BEP 3): what a foreign one says, checked in every part, and ours written.
 *
 * A path is only ever a name here: whoever downloads decides where bytes go. Of a hybrid torrent (BEP 52) both descriptions must
 * agree on every file; one that is version 2 alone is refused, because the clients behind this know version 1.
 */
import { createHash } from 'node:crypto';
import { encodeCanonical, MAX_DISK_BYTES } from '@diskswarm/core';
import { type Bencoded, type Dictionary, isDictionary, readDictionary, refuse } from './bencode-spans.ts';
import { assertAgreement, treeFiles } from './file-tree.ts';
import {
  MAX_PATH_PART_BYTES,
  MAX_PATH_PARTS,
  MAX_TORRENT_FILES,
  MAX_TORRENT_PIECE_BYTES,
  MAX_TORRENT_PIECES,
  MAX_TORRENT_TRACKERS,
  MIN_TORRENT_PIECE_BYTES,
} from './limits.ts';
import { isTracker } from './magnet.ts';

const HASH_BYTES = 20;
const BLOCK_BYTES = 16 * 1024;

export interface TorrentFile {
  /** Below the torrent's name; of a torrent that is one file, its name. Every part is a plain name. */
  readonly path: readonly string[];
  readonly lengthBytes: number;
  /** Of its first byte, in the torrent's bytes. */
  readonly offsetBytes: number;
  /** Zeros that only align what follows (BEP 47). */
  readonly isPadding: boolean;
  /** The root of its tree of SHA-256 hashes, of a hybrid torrent; null otherwise. */
  readonly root: Uint8Array | null;
}

/** A torrent whose parts fit each other. */
export interface Metainfo {
  /** 40 hex digits. */
  readonly infoHash: string;
  readonly name: string;
  readonly pieceBytes: number;
  readonly pieces: number;
  readonly totalBytes: number;
  readonly files: readonly TorrentFile[];
  /** Its peers come from its trackers alone (BEP 27). */
  readonly isPrivate: boolean;
  readonly trackers: readonly string[];
  /** The info dictionary, as it was hashed: a view. */
  readonly info: Uint8Array;
  /** SHA-1 of each piece, one behind the other: a view. */
  readonly hashes: Uint8Array;
}

/** Takes a .torrent file apart; TORRENT_INVALID. */
export function parseMetainfo(bytes: Uint8Array): Metainfo {
  const { entries } = readDictionary(bytes);
  const info = entries.get('info');
  return parse(isDictionary(info) ? info : refuse('it has no info dictionary'), trackersOf(entries));
}

/** The same from an info dictionary alone, as peers send it for a magnet link. */
export function parseInfo(bytes: Uint8Array, trackers: readonly string[]): Metainfo {
  return parse(readDictionary(bytes), trackers);
}

/** The one file to take: the only one there is, or the one of that path. TORRENT_INVALID says which there are. */
export function chooseFile({ name, files }: Metainfo, wanted: string | null): TorrentFile {
  const candidates = files.filter(({ isPadding, lengthBytes }) => !isPadding && lengthBytes > 0);
  const textOf = (file: TorrentFile): string => file.path.join('/');
  const fits = (file: TorrentFile): boolean => wanted === textOf(file) || wanted === `${name}/${textOf(file)}`;
  const found = wanted === null ? candidates : candidates.filter(fits);
  if (found.length === 1) return found[0] as TorrentFile;
  const some = candidates.slice(0, 10).map(textOf).join(', ');
  const more = candidates.length > 10 ? `, and ${candidates.length - 10} more` : '';
  return refuse(
    `${wanted === null ? 'choose a file with --file' : 'it has no such file'}; it has ${some || 'none'}${more}`,
  );
}

/** Hashes of 20 bytes each, one per piece, and what they are of. */
export interface NewTorrent {
  /** The name of its one file. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly pieceBytes: number;
  readonly hashes: Uint8Array;
  readonly trackers: readonly string[];
}

/** A .torrent file of one file. */
export function encodeMetainfo({ name, sizeBytes, pieceBytes, hashes, trackers }: NewTorrent): Uint8Array {
  const [first] = trackers;
  return encodeCanonical({
    ...(first === undefined ? {} : { announce: first }),
    ...(trackers.length > 1 ? { 'announce-list': trackers.map((tracker) => [tracker]) } : {}),
    'created by': 'diskswarm',
    info: { length: sizeBytes, name, 'piece length': pieceBytes, pieces: hashes },
  });
}

/** A foreign torrent's .torrent file with nothing in it that was not checked: trackers, and the info dictionary as it is. */
export function strippedMetainfo({ info, trackers }: Metainfo): Uint8Array {
  const list = encodeCanonical(trackers.map((tracker) => [tracker]));
  return Buffer.concat([Buffer.from('d13:announce-list'), list, Buffer.from('4:info'), info, Buffer.from('e')]);
}

/** The piece length for a disk: a power of two, at least a chunk, and few enough pieces. TORRENT_INVALID for a disk that is too large. */
export function pieceBytesFor(sizeBytes: number, chunkSizeBytes: number): number {
  let pieceBytes = Math.max(chunkSizeBytes, SMALL_PIECE_BYTES);
  while (pieceBytes < USUAL_PIECE_BYTES && sizeBytes / pieceBytes > USUAL_PIECES) pieceBytes *= 2;
  while (sizeBytes / pieceBytes > MAX_TORRENT_PIECES) pieceBytes *= 2;
  return pieceBytes <= MAX_TORRENT_PIECE_BYTES ? pieceBytes : refuse('a disk of more than 16 TiB has too many pieces');
}

const SMALL_PIECE_BYTES = 256 * 1024;
const USUAL_PIECES = 4096;
const USUAL_PIECE_BYTES = 16 * 1024 * 1024;

function parse(info: Dictionary, trackers: readonly string[]): Metainfo {
  const { entries } = info;
  const version = entries.get('meta version');
  if (version !== undefined && version !== 2) refuse(`version ${String(version)} is not known`);
  if (!entries.has('pieces'))
    refuse(version === 2 ? 'it is of version 2 alone; version 1 and hybrid ones are read' : 'it has no pieces');
  const pieceBytes = integer(entries, 'piece length', MIN_TORRENT_PIECE_BYTES, MAX_TORRENT_PIECE_BYTES);
  if (pieceBytes % BLOCK_BYTES !== 0) refuse(`a piece length of ${pieceBytes} bytes is no multiple of 16 KiB`);
  const name = nameOf(entries.get('name'));
  const files = filesOf(entries, name);
  const totalBytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
  if (totalBytes === 0 || totalBytes > MAX_DISK_BYTES) refuse(`a size of ${totalBytes} bytes`);
  const hashes = entries.get('pieces');
  const pieces = Math.ceil(totalBytes / pieceBytes);
  if (pieces > MAX_TORRENT_PIECES) refuse(`${pieces} pieces, at most ${MAX_TORRENT_PIECES} are read`);
  if (!(hashes instanceof Uint8Array) || hashes.length !== pieces * HASH_BYTES)
    refuse(`its hashes are not those of ${pieces} pieces`);
  return {
    infoHash: createHash('sha1').update(info.bytes).digest('hex'),
    name,
    pieceBytes,
    pieces,
    totalBytes,
    files: version === 2 ? withRoots(entries, files, pieceBytes) : files,
    isPrivate: entries.get('private') === 1,
    trackers,
    info: info.bytes,
    hashes,
  };
}

function withRoots(entries: Dictionary['entries'], files: readonly TorrentFile[], pieceBytes: number): TorrentFile[] {
  const tree = entries.get('file tree');
  if (!isDictionary(tree)) return refuse('it says version 2 and has no tree of files');
  const others = treeFiles(tree, nameOf);
  assertAgreement(files, others, pieceBytes);
  let next = 0;
  return files.map((file) => (file.isPadding ? file : { ...file, root: others[next++]?.root ?? null }));
}

function filesOf(entries: Dictionary['entries'], name: string): TorrentFile[] {
  const list = entries.get('files');
  if ((list === undefined) === (entries.get('length') === undefined)) refuse('neither one file nor a list of files');
  if (list === undefined) {
    const lengthBytes = integer(entries, 'length', 1, MAX_DISK_BYTES);
    return [{ path: [name], lengthBytes, offsetBytes: 0, isPadding: false, root: null }];
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_TORRENT_FILES)
    return refuse('a list of files that is empty, or too long');
  const seen = new Set<string>();
  let offsetBytes = 0;
  return list.map((item: Bencoded): TorrentFile => {
    if (!isDictionary(item)) return refuse('a malformed file');
    const lengthBytes = integer(item.entries, 'length', 0, MAX_DISK_BYTES);
    const parts = item.entries.get('path');
    if (!Array.isArray(parts) || parts.length === 0 || parts.length > MAX_PATH_PARTS) return refuse('a malformed path');
    const path = parts.map(nameOf);
    const attributes = item.entries.get('attr');
    const isPadding = attributes instanceof Uint8Array && attributes.includes(0x70);
    const key = path.join('/');
    if (!isPadding && seen.has(key)) refuse('two files of one path');
    seen.add(key);
    const file = { path, lengthBytes, offsetBytes, isPadding, root: null };
    offsetBytes += lengthBytes;
    if (offsetBytes > MAX_DISK_BYTES) refuse('its files are too large');
    return file;
  });
}

/** A plain name: it stays where it is put, on every system. */
function nameOf(value: Bencoded | undefined): string {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > MAX_PATH_PART_BYTES)
    return refuse('a malformed name');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(value);
  } catch {
    return refuse('a name that is not UTF-8');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (text === '.' || text === '..' || /[/\\\u0000-\u001f\u007f]/.test(text))
    return refuse('a name that would lead elsewhere');
  return text;
}

function integer(entries: Dictionary['entries'], key: string, from: number, to: number): number {
  const value = entries.get(key);
  if (typeof value !== 'number' || value < from || value > to)
    return refuse(`"${key}" is missing or not ${from} to ${to}`);
  return value;
}

function trackersOf(entries: Dictionary['entries']): string[] {
  const list = entries.get('announce-list');
  const tiers = Array.isArray(list) ? list.flatMap((tier: Bencoded) => (Array.isArray(tier) ? tier : [])) : [];
  const texts = [entries.get('announce'), ...tiers].flatMap((value) =>
    value instanceof Uint8Array ? [Buffer.from(value).toString('utf8')] : [],
  );
  return [...new Set(texts.filter(isTracker))].slice(0, MAX_TORRENT_TRACKERS);
}
