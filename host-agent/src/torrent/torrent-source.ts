/**
 * A file of a torrent as an image to import: read from its beginning while the rest is still on its way.
 *
 * The torrent's client runs in a thread of its own and puts pieces whose hash is right into a scratch file; a read waits for its pieces. When the import ends
 * early, the scratch file stays for some days, and the next import of the same file goes on from it. Of a hybrid torrent the whole file is checked against its
 * version 2 hash tree before its last byte is handed out.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Clock, DiskswarmError, messageOf, SECTOR_BYTES, type Timer } from '@diskswarm/core';
import {
  chooseFile,
  formatMagnet,
  MerkleRoot,
  parseMagnet,
  parseMetainfo,
  strippedMetainfo,
} from '@diskswarm/metainfo';
import { foreignFormat, HEAD_BYTES, namesOtherFiles } from '../images/image-head.ts';
import { type ImageSource, openImage } from '../images/image-source.ts';
import { readBounded } from './read-bounded.ts';
import type { FetchedFile, FetchOwnerCalls, FetchThreadCalls, FetchThreadOptions } from './thread-protocol.ts';
import { startThread, type TorrentThread } from './thread-start.ts';
import { isWebTracker } from './web-gateway-protocol.ts';

/** Torrents that are imported at a time. */
const MAX_TORRENT_IMPORTS = 4;
const STALL_MS = 600_000;
/** How long a scratch file of an import that ended early is kept. */
const SCRATCH_AGE_MS = 7 * 86_400_000;

export interface TorrentSourceOptions {
  /** A magnet link, or the path of a .torrent file. */
  readonly location: string;
  /** The path of the file in the torrent; null for the only one. */
  readonly file: string | null;
  readonly scratchFolder: string;
  /** HOST:PORT for peers, port 0. */
  readonly listen: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Without any progress for so long it is given up. */
  readonly stallMs?: number;
}

const underWay = new Set<string>();

/** Opens it once its size is known; TORRENT_INVALID, TORRENT_STALLED, BAD_IMAGE, DISK_FULL, LIMIT_EXCEEDED. */
export async function openTorrent(options: TorrentSourceOptions): Promise<ImageSource> {
  const torrent = await torrentOf(options.location, options.file);
  const scratch = path.join(options.scratchFolder, `torrent-${keyOf(torrent.infoHash, options.file)}.part`);
  if (underWay.has(scratch) || underWay.size >= MAX_TORRENT_IMPORTS) {
    const why = underWay.has(scratch)
      ? 'this file is being imported already'
      : `at most ${MAX_TORRENT_IMPORTS} torrents are imported at a time`;
    throw new DiskswarmError('LIMIT_EXCEEDED', why, { data: { limit: MAX_TORRENT_IMPORTS } });
  }
  underWay.add(scratch);
  const source = new TorrentSource(options, scratch, () => underWay.delete(scratch));
  try {
    await fs.mkdir(options.scratchFolder, { recursive: true, mode: 0o700 });
    await removeOld(options.scratchFolder, options.clock);
    return await source.open({ ...torrent, kind: 'fetch', listen: options.listen, file: options.file, scratch });
  } catch (error) {
    await source.close();
    throw error;
  }
}

class TorrentSource implements ImageSource {
  readonly #options: TorrentSourceOptions;
  readonly #scratch: string;
  readonly #released: () => void;
  readonly #described = Promise.withResolvers<FetchedFile>();
  readonly #verified = new Set<number>();
  /** Nothing more comes. */
  #failure: Error | null = null;
  #waiting: (() => void)[] = [];
  #thread: TorrentThread<FetchThreadCalls> | null = null;
  #stall: Timer | null = null;
  #handle: fs.FileHandle | null = null;
  #file: FetchedFile | null = null;
  #merkle: MerkleRoot | null = null;
  #hashedBytes = 0;
  /** What is in the scratch file is of no more use. */
  #done = false;

  constructor(options: TorrentSourceOptions, scratch: string, released: () => void) {
    this.#options = options;
    this.#scratch = scratch;
    this.#released = released;
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#described.promise.catch(() => {}); // Reported where it is awaited.
  }

  get sizeBytes(): number {
    return this.#file?.lengthBytes ?? 0;
  }

  get extents(): ImageSource['extents'] {
    return [{ offsetBytes: 0, lengthBytes: this.sizeBytes }];
  }

  async open(thread: FetchThreadOptions): Promise<ImageSource> {
    if (this.#options.signal.aborted) this.#onAbort();
    if (this.#failure !== null) throw this.#failure;
    this.#progress();
    const local: FetchOwnerCalls = {
      described: (file) => {
        this.#progress();
        this.#described.resolve(file);
      },
      verified: (piece) => {
        this.#progress();
        this.#verified.add(piece);
        this.#wake();
      },
      failed: ({ code, message }) => this.#fail(new DiskswarmError(code, message)),
    };
    this.#thread = startThread<FetchThreadCalls>(thread, local, (error) =>
      this.#fail(
        new DiskswarmError('EXTERNAL_TOOL_FAILED', `the torrent's client failed: ${error.message}`, { cause: error }),
      ),
    );
    const file = await this.#described.promise;
    this.#file = file;
    if (file.root !== null) this.#merkle = new MerkleRoot();
    this.#handle = await fs.open(this.#scratch, 'r');
    const head = new Uint8Array(Math.min(HEAD_BYTES, file.lengthBytes));
    await this.#readWhenHere(head, 0);
    const foreign = foreignFormat(head);
    if (foreign === 'qcow2') {
      if (namesOtherFiles(head))
        throw this.#bad('it is a qcow2 image that names another file, which would be read from this host');
      return this.#asQcow2();
    }
    if (foreign !== null) throw this.#bad(`it is a ${foreign} image; only raw and qcow2 ones are read`);
    if (file.lengthBytes % SECTOR_BYTES !== 0)
      throw this.#bad(`its size of ${file.lengthBytes} bytes is no multiple of ${SECTOR_BYTES}`);
    return this;
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    await this.#readWhenHere(into, offsetBytes);
    if (this.#merkle !== null && offsetBytes === this.#hashedBytes) {
      this.#merkle.update(into);
      this.#hashedBytes += into.length;
      if (this.#hashedBytes === this.sizeBytes) this.#checkRoot(this.#merkle);
    }
    if (offsetBytes + into.length === this.sizeBytes) this.#done = true;
  }

  /** Ends the client; what came stays when it was not all. Idempotent. */
  async close(): Promise<void> {
    this.#stall?.cancel();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    await this.#thread?.stop();
    await this.#handle?.close();
    this.#handle = null;
    if (this.#done) await fs.rm(this.#scratch, { force: true });
    this.#released();
  }

  readonly #onAbort = (): void => this.#fail(new DiskswarmError('ABORTED', 'the import was given up'));

  /** A qcow2 file is no run of bytes: it is converted when all of it is here. */
  async #asQcow2(): Promise<ImageSource> {
    const part = new Uint8Array(4 * 1024 * 1024);
    for (let at = 0; at < this.sizeBytes; at += part.length)
      await this.read(part.subarray(0, Math.min(part.length, this.sizeBytes - at)), at);
    const { scratchFolder, signal } = this.#options;
    const image = await openImage(this.#scratch, 'qcow2', scratchFolder, { signal });
    return {
      sizeBytes: image.sizeBytes,
      extents: image.extents,
      read: (into, offsetBytes) => image.read(into, offsetBytes),
      close: async () => {
        await image.close();
        await this.close();
      },
    };
  }

  async #readWhenHere(into: Uint8Array, offsetBytes: number): Promise<void> {
    const file = this.#file as FetchedFile;
    const first = Math.floor((file.offsetBytes + offsetBytes) / file.pieceBytes);
    const last = Math.floor((file.offsetBytes + offsetBytes + into.length - 1) / file.pieceBytes);
    for (let piece = first; piece <= last; piece++) {
      while (!this.#verified.has(piece)) {
        if (this.#failure !== null) throw this.#failure;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
    const handle = this.#handle as fs.FileHandle;
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await handle.read(into, done, into.length - done, offsetBytes + done);
      if (bytesRead === 0)
        throw new DiskswarmError('READ_FAILED', `${this.#scratch} is shorter than what came of the torrent`);
      done += bytesRead;
    }
  }

  #checkRoot(merkle: MerkleRoot): void {
    const root = this.#file?.root;
    this.#done = true;
    if (root === null || root === undefined || Buffer.compare(merkle.digest(), root) === 0) return;
    const why = 'its version 1 and version 2 parts disagree on the bytes of the file';
    throw new DiskswarmError('TORRENT_INVALID', `the torrent cannot be used: ${why}`, { data: { why } });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    if (error instanceof DiskswarmError && error.code === 'TORRENT_INVALID') this.#done = true;
    this.#described.reject(this.#failure);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each();
  }

  #progress(): void {
    const { clock, stallMs = STALL_MS } = this.#options;
    this.#stall?.cancel();
    this.#stall = clock.setTimer(
      stallMs,
      () => {
        const left = this.#file === null ? 'nobody told what is in it' : `${this.#verified.size} pieces came`;
        this.#fail(
          new DiskswarmError(
            'TORRENT_STALLED',
            `nothing came of the torrent for ${stallMs / 1000} s (${left}); the same command goes on from there`,
          ),
        );
      },
      { background: true },
    );
  }

  #bad(why: string): DiskswarmError {
    this.#done = true;
    return new DiskswarmError('BAD_IMAGE', `the file of the torrent cannot be imported: ${why}`);
  }
}

/** What the thread is told of a torrent: nothing of it that was not checked. */
async function torrentOf(
  location: string,
  file: string | null,
): Promise<Pick<FetchThreadOptions, 'torrent' | 'infoHash' | 'dht'>> {
  if (/^magnet:/i.test(location)) {
    const magnet = parseMagnet(location);
    const dht = magnet.trackers.every(isWebTracker) && magnet.peers.length === 0;
    return { torrent: formatMagnet({ ...magnet, name: '' }), infoHash: magnet.infoHash, dht };
  }
  const metainfo = parseMetainfo(await readBounded(location));
  chooseFile(metainfo, file);
  const { infoHash, isPrivate, trackers } = metainfo;
  return { torrent: strippedMetainfo(metainfo), infoHash, dht: trackers.every(isWebTracker) && !isPrivate };
}

function keyOf(infoHash: string, file: string | null): string {
  return file === null ? infoHash : `${infoHash}-${createHash('sha256').update(file).digest('hex').slice(0, 16)}`;
}

/** A failure here only costs space. */
async function removeOld(folder: string, clock: Clock): Promise<void> {
  for (const name of await fs.readdir(folder).catch(() => [])) {
    if (!/^torrent-[0-9a-f-]+\.part$/.test(name)) continue;
    const place = path.join(folder, name);
    try {
      const { mtimeMs } = await fs.stat(place);
      if (!underWay.has(place) && clock.wallMs() - mtimeMs > SCRATCH_AGE_MS) await fs.rm(place);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new DiskswarmError('READ_FAILED', messageOf(error));
    }
  }
}
