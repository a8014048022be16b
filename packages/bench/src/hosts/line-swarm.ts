/** A BitTorrent swarm over a line: tracker and seed at its far end, downloaders (aria2c) at its near end. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Line } from '../link/link.ts';
import { pause, serve } from '../programs.ts';
import { check } from '../row.ts';
import { ARIA_ALONE, writeTorrent } from './torrent.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../host-agent/bin/diskswarm.js', import.meta.url));
const TRACKER_PORT = 6969;
const SEED_PORT = 6881;
/** The seed says nothing when it has announced itself; it does so at once. */
const ANNOUNCED_MS = 2000;
/** Of aria2c, sixteen hexadecimal digits. */
const DOWNLOAD_ID = '00000000000000d5';
const POLL_MS = 20;

export class LineSwarm {
  readonly #folder: string;
  readonly #file: string;
  readonly #line: Line;

  constructor(folder: string, file: string, line: Line) {
    this.#folder = folder;
    this.#file = file;
    this.#line = line;
  }

  /** Tracker and seed; they end with the run. */
  async start(): Promise<void> {
    const { far } = this.#line;
    await mkdir(this.#folder, { recursive: true });
    const listen = `${far.address}:${TRACKER_PORT}`;
    const tracker = [process.execPath, LAUNCHER, 'tracker', '--listen', listen, '--json'];
    await serve([...far.prefix, ...tracker], (line) => line.includes('"ready"'));
    await writeTorrent(this.#file, this.#torrent, `http://${listen}/announce`);
    const seed = [`--dir=${dirname(this.#file)}`, '--seed-ratio=0.0', '--bt-seed-unverified=true'];
    await serve([...far.prefix, 'aria2c', ...seed, `--listen-port=${SEED_PORT}`, ...ARIA_ALONE, this.#torrent], null);
    await pause(ANNOUNCED_MS);
  }

  /** Downloads the whole file and goes on seeding until the run ends; gives the file. */
  async download(host: number, { timeoutMs }: { readonly timeoutMs: number }): Promise<string> {
    const folder = join(this.#folder, `host${host}`);
    await mkdir(folder);
    const settings = [`--dir=${folder}`, `--listen-port=${SEED_PORT + 1 + host}`, '--file-allocation=none'];
    // Peers are found at the tracker alone; it is asked again soon, because all begin at once.
    const swarm = ['--bt-tracker-interval=2', '--seed-ratio=0.0', ...ARIA_ALONE];
    // What it calls when it has all and has verified it is given the download's id, which so becomes a file.
    const done = [`--gid=${DOWNLOAD_ID}`, '--on-bt-download-complete=touch'];
    const command = ['aria2c', ...settings, ...swarm, ...done, this.#torrent];
    const peer = await serve([...this.#line.near.prefix, ...command], null, { cwd: folder });
    const deadlineMs = performance.now() + timeoutMs;
    while (!existsSync(join(folder, DOWNLOAD_ID))) {
      check(peer.alive(), `aria2c ended before it had the file: ${peer.lastWords()}`);
      check(performance.now() < deadlineMs, 'aria2c took too long');
      await pause(POLL_MS);
    }
    return join(folder, basename(this.#file));
  }

  get #torrent(): string {
    return join(this.#folder, 'file.torrent');
  }
}
