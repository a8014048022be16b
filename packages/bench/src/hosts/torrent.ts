/**
 * aria2c as a peer: a torrent of a file, one aria2c that seeds it and one that downloads it, over our own tracker.
 *
 * The torrent is written here (BEP 3, single file), because that takes a bencoder and SHA-1 and nothing else.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause, run, type Service, serve } from '../programs.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../host-agent/bin/diskswarm.js', import.meta.url));
const PIECE_BYTES = 256 * 1024;
/** aria2c finds peers at the tracker and nowhere else. */
export const ARIA_ALONE = [
  '--enable-dht=false',
  '--enable-dht6=false',
  '--bt-enable-lpd=false',
  '--enable-peer-exchange=false',
];

type Bencodable = number | string | Buffer | { readonly [key: string]: Bencodable };

/** A swarm of aria2c around one file. */
export class TorrentSwarm {
  readonly #folder: string;
  readonly #file: string;
  #torrent = '';
  #announceUrl = '';
  #port = 0;

  constructor(folder: string, file: string) {
    this.#folder = folder;
    this.#file = file;
  }

  /** Starts tracker and seeder; they end with the row. */
  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const tracker = await serve([process.execPath, LAUNCHER, 'tracker', '--listen', '127.0.0.1:0', '--json'], (line) =>
      line.includes('"ready"'),
    );
    const { listen } = JSON.parse(tracker.firstLine) as { listen: string };
    this.#torrent = join(this.#folder, 'file.torrent');
    this.#announceUrl = `http://${listen}/announce`;
    await writeTorrent(this.#file, this.#torrent, this.#announceUrl);
    this.#port = 20_000 + (process.pid % 20_000);
    await this.#seed();
  }

  /** Of its tracker. */
  get announceUrl(): string {
    return this.#announceUrl;
  }

  /** Downloads the whole file into a fresh folder; gives the bytes per second that aria2c reports, and the file. */
  download(): Promise<{ bytesPerSecond: number; file: string }> {
    return this.downloadOf(this.#torrent, basename(this.#file));
  }

  /** The same of another torrent, which is one file of this name. */
  async downloadOf(torrent: string, name: string): Promise<{ bytesPerSecond: number; file: string }> {
    const folder = join(this.#folder, 'download');
    await rm(folder, { recursive: true, force: true });
    const port = `--listen-port=${this.#port + 1}`;
    const arguments_ = [`--dir=${folder}`, '--seed-time=0', port, ...ARIA_ALONE, '--file-allocation=none', torrent];
    const { stdout } = await run(['aria2c', ...arguments_], { timeoutMs: 300_000 });
    const reported = /\|OK\s*\|\s*([\d.]+)([KMG]?i?)B\/s/.exec(stdout);
    if (reported === null) throw new Error(`aria2c reported no speed: ${stdout.slice(-500)}`);
    const unit = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }[reported[2] ?? ''] ?? 1;
    return { bytesPerSecond: Number(reported[1]) * unit, file: join(folder, name) };
  }

  async #seed(): Promise<Service> {
    const port = `--listen-port=${this.#port}`;
    const arguments_ = [`--dir=${dirname(this.#file)}`, '--seed-ratio=0.0', '--bt-seed-unverified=true', port];
    const service = await serve(['aria2c', ...arguments_, ...ARIA_ALONE, this.#torrent], null);
    // It says nothing when it has announced itself; it does so at once.
    await pause(2000);
    return service;
  }
}

/** Writes the torrent of `file`. */
export async function writeTorrent(file: string, torrent: string, announce: string): Promise<void> {
  const pieces = await hashPieces(file);
  const { size } = await stat(file);
  const info = { length: size, name: basename(file), 'piece length': PIECE_BYTES, pieces };
  await writeFile(torrent, bencode({ announce, info }));
}

async function hashPieces(file: string): Promise<Buffer> {
  const hashes: Buffer[] = [];
  for await (const part of createReadStream(file, { highWaterMark: 4 * 2 ** 20 })) {
    const bytes = part as Buffer;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      hashes.push(
        createHash('sha1')
          .update(bytes.subarray(at, at + PIECE_BYTES))
          .digest(),
      );
    }
  }
  return Buffer.concat(hashes);
}

/** Keys must come sorted, as BEP 3 wants them. */
function bencode(value: Bencodable): Buffer {
  if (typeof value === 'number') return Buffer.from(`i${value}e`);
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const entries = Object.entries(value).flatMap(([key, entry]) => [bencode(key), bencode(entry)]);
  return Buffer.concat([Buffer.from('d'), ...entries, Buffer.from('e')]);
}
