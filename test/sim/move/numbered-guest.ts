/**
 * The guest of a modelled machine: writes numbers, reads them back, flushes; its memory is how far it has come, and moves with it.
 *
 * Two lanes at once, on blocks of their own. What a read may show is known outside of any machine (numbered-disk.ts), so that no move can hide a loss.
 */
import { SECTOR_BYTES } from '@diskswarm/core';
import type { Drive } from './drive.ts';
import type { MoveWorld } from './move-world.ts';
import { numberedSectors } from './numbered-disk.ts';

/** What moves with the machine. */
export interface GuestMemory {
  /** Which boot of the machine this is. */
  readonly boot: number;
  /** Requests done since. */
  readonly done: number;
}

const LANES = 2;
const BLOCK_CELLS = 8;
const LONGEST_PAUSE_MS = 30;

export class NumberedGuest {
  readonly #world: MoveWorld;
  readonly #drives: readonly Drive[];
  readonly boot: number;
  #done: number;
  #running = false;
  #lanes: Promise<unknown> = Promise.resolve();

  constructor(world: MoveWorld, drives: readonly Drive[], memory: GuestMemory) {
    this.#world = world;
    this.#drives = drives;
    this.boot = memory.boot;
    this.#done = memory.done;
  }

  get memory(): GuestMemory {
    return { boot: this.boot, done: this.#done };
  }

  /** The virtual processors run. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    const before = this.#lanes;
    this.#lanes = before
      .then(() => Promise.all(Array.from({ length: LANES }, (_, lane) => this.#lane(lane))))
      .catch(() => {});
  }

  /** They stop; resolves when nothing is in flight. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#lanes;
  }

  /** Everything that was written is durable. */
  async flush(): Promise<void> {
    for (const [index, drive] of this.#drives.entries()) {
      const done = this.#world.disks[index]!.numbers.beginFlush();
      await drive.run((attachment) => attachment.view.flush());
      done();
    }
  }

  /** Reads all of every disk. */
  async readAll(): Promise<void> {
    for (const index of this.#drives.keys()) {
      const { cells } = this.#world.disks[index]!.numbers;
      for (let cell = 0; cell < cells; cell += 16 * BLOCK_CELLS)
        await this.#read(index, cell, Math.min(16 * BLOCK_CELLS, cells - cell));
    }
  }

  async #lane(lane: number): Promise<void> {
    const { random } = this.#world;
    while (this.#running) {
      const index = random.below(this.#drives.length);
      const blocks = this.#world.disks[index]!.numbers.cells / BLOCK_CELLS / LANES;
      const first = (random.below(blocks) * LANES + lane) * BLOCK_CELLS;
      const chosen = random.below(10);
      if (chosen < 2) await this.#read(index, first, BLOCK_CELLS);
      else if (chosen < 8) await this.#write(index, first, BLOCK_CELLS);
      else if (chosen < 9) await this.#write(index, first + random.below(BLOCK_CELLS), 1);
      else await this.flush();
      this.#done++;
      this.#world.progressed(this.memory);
      await this.#world.pause(1 + random.below(LONGEST_PAUSE_MS));
    }
  }

  async #read(index: number, first: number, count: number): Promise<void> {
    const into = new Uint8Array(count * SECTOR_BYTES);
    await this.#drives[index]!.run(async ({ view }, signal) => {
      if (!view.readSync(first * SECTOR_BYTES, into)) await view.read(first * SECTOR_BYTES, into, { signal });
    });
    this.#world.check(() => this.#world.disks[index]!.numbers.check(first, into));
  }

  async #write(index: number, first: number, count: number): Promise<void> {
    const number = this.#world.nextNumber();
    const bytes = numberedSectors(count, number);
    const acknowledged = this.#world.disks[index]!.numbers.beginWrite(first, count, number);
    const drive = this.#drives[index]!;
    const { spec } = await drive.run(async ({ view }) => {
      const waits = view.write(first * SECTOR_BYTES, bytes.slice());
      if (waits !== undefined) await waits;
      view.commit();
    });
    this.#world.acknowledged(drive.host, spec.disk, spec.epoch);
    acknowledged();
  }
}
