/** A BitTorrent swarm over a line: tracker and seed at its far end, downloaders (aria2c) at its near end. */
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Line } from '../link/link.ts';
import { pause, type RunOptions, run, serve } from '../programs.ts';
import { ARIA_ALONE, writeTorrent } from './torrent.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../host-agent/bin/diskswarm.js', import.meta.url));
const TRACKER_PORT = 6969;
const SEED_PORT = 6881;
/** The seed says nothing when it has announced itself; it does so at once. */
const ANNOUNCED_MS = 2000;

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

  /** Downloads the whole file and goes on seeding; gives the file. */
  async download(host: number, options: RunOptions): Promise<string> {
    const folder = join(this.#folder, `host${host}`);
    const settings = [`--dir=${folder}`, `--listen-port=${SEED_PORT + 1 + host}`, '--file-allocation=none'];
    // Peers are found at the tracker alone; it is asked again soon, because all begin at once.
    const swarm = ['--bt-tracker-interval=2', '--seed-time=0', ...ARIA_ALONE];
    await run([...this.#line.near.prefix, 'aria2c', ...settings, ...swarm, this.#torrent], options);
    return join(folder, basename(this.#file));
  }

  get #torrent(): string {
    return join(this.#folder, 'file.torrent');
  }
}
