/**
 * A guest: a client of one export that reads, writes, flushes and discards at random, several requests at once, as an NBD session would.
 *
 * Every request is told to the model, and every answer held against it. A request that an export refuses has failed; one whose process died
 * stays undecided.
 */
import { BLOCK_BYTES, type ErrorCode, SECTOR_BYTES } from '@diskswarm/core';
import type { LocalAttachment } from '@diskswarm/host-agent';
import { type ModelWrite, ProcessGone, type SeededRandom } from '@diskswarm/sim';
import { codeOfError } from './outcomes.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { World } from './world.ts';

/** Answers of an export that ends. */
const REFUSALS: readonly ErrorCode[] = ['ATTACHMENT_STATE', 'ABORTED'];
/** Answers of one whose storage fails. */
const STORAGE_REFUSALS: readonly ErrorCode[] = [
  ...REFUSALS,
  'WRITE_FAILED',
  'READ_FAILED',
  'DISK_FULL',
  'CHUNK_CORRUPT',
];
const LONGEST_BYTES = 96 * 1024;

export interface GuestOptions {
  /** Requests of one connection. */
  readonly requests: number;
  /** Requests at once. */
  readonly depth: number;
  /** Longest pause between two requests of a lane. */
  readonly pauseMs: number;
  /** Reads only. */
  readonly readOnly?: boolean;
}

export class Guest {
  readonly #world: World;
  readonly #host: SimulatedHost;
  readonly #attachment: LocalAttachment;
  readonly #incarnation: number;
  readonly #random: SeededRandom;
  readonly #gone = new AbortController();
  #requests = 0;
  #leaving: Promise<void> | null = null;
  readonly #inFlight = new Set<Promise<void>>();

  constructor(world: World, host: SimulatedHost, attachment: LocalAttachment) {
    this.#world = world;
    this.#host = host;
    this.#attachment = attachment;
    this.#incarnation = host.machine.incarnation;
    this.#random = world.simulation.random;
    attachment.disconnect = () => this.disconnect();
    attachment.clients++;
  }

  /** Works through the requests; resolves when they are answered or the export, or its process, is no more. */
  async work({ requests, depth, pauseMs, readOnly = false }: GuestOptions): Promise<void> {
    let left = requests;
    const lane = async (): Promise<void> => {
      while (left-- > 0 && !this.#ended) {
        await this.#one(readOnly);
        if (pauseMs > 0) await this.#world.pause(this.#random.below(pauseMs + 1));
      }
    };
    await Promise.all(Array.from({ length: depth }, lane));
  }

  /** Reads all of the disk and holds it against the model. */
  async readAll(): Promise<void> {
    for (let offset = 0; offset < this.#world.model.sizeBytes && !this.#ended; offset += LONGEST_BYTES) {
      await this.#track(this.#read(offset, Math.min(LONGEST_BYTES, this.#world.model.sizeBytes - offset)));
    }
  }

  /** Says goodbye: nothing of it is in flight when this resolves. Reads that wait are given up. */
  disconnect(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    this.#gone.abort();
    await Promise.allSettled([...this.#inFlight]);
    this.#attachment.clients--;
  }

  get #ended(): boolean {
    return this.#gone.signal.aborted || this.#dead || this.#host.attachment !== this.#attachment;
  }

  get #dead(): boolean {
    return this.#host.machine.incarnation !== this.#incarnation;
  }

  #one(readOnly: boolean): Promise<void> {
    const { offset, length } = this.#range();
    const chosen = readOnly ? 0 : this.#random.below(100);
    if (chosen < 30) return this.#track(this.#read(offset, length));
    if (chosen < 80) return this.#track(this.#write(offset, this.#random.bytes(length)));
    if (chosen < 86) return this.#track(this.#zeroes(offset, length));
    if (chosen < 92) return this.#track(this.#trim(offset, length));
    return this.#track(this.#flush());
  }

  /** Often aligned to blocks, sometimes to sectors, sometimes to nothing; often where there was something before. */
  #range(): { offset: number; length: number } {
    const { sizeBytes } = this.#world.model;
    const unit = this.#random.pick([BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES, SECTOR_BYTES, 1]);
    const longest = this.#random.pick([BLOCK_BYTES, BLOCK_BYTES, 4 * BLOCK_BYTES, LONGEST_BYTES]);
    const area = this.#random.chance(0.5) ? sizeBytes : Math.min(sizeBytes, 16 * LONGEST_BYTES);
    const offset = this.#random.below(Math.floor(area / unit)) * unit;
    const length = Math.min(
      Math.max(1, this.#random.between(1, Math.floor(longest / unit))) * unit,
      sizeBytes - offset,
    );
    return { offset, length };
  }

  async #track(request: Promise<void>): Promise<void> {
    const answered = Promise.race([request, this.#death()]);
    this.#inFlight.add(answered);
    try {
      await answered;
    } finally {
      this.#inFlight.delete(answered);
    }
  }

  async #read(offset: number, length: number): Promise<void> {
    const done = this.#note(`reads ${length} at ${offset}`);
    const expected = this.#world.model.beginRead(offset, length);
    const into = new Uint8Array(length).fill(0xa5);
    await this.#settle(async () => {
      const { view } = this.#attachment;
      if (!view.readSync(offset, into)) await view.read(offset, into, { signal: this.#gone.signal });
      if (this.#dead) return;
      done();
      this.#world.check(() => expected.completed(into));
    });
  }

  #write(offset: number, data: Uint8Array): Promise<void> {
    const handed = data.slice();
    return this.#change(`writes ${data.length} at ${offset}`, this.#world.model.beginWrite(offset, data), () => {
      const waits = this.#attachment.view.write(offset, handed);
      if (waits === undefined) handed.fill(0xdd); // Only ours again from here on.
      return waits;
    });
  }

  #zeroes(offset: number, length: number): Promise<void> {
    const keepAllocated = this.#random.chance(0.5);
    return this.#change(`zeroes ${length} at ${offset}`, this.#world.model.beginZeroes(offset, length), () =>
      this.#attachment.view.writeZeroes(offset, length, { keepAllocated }),
    );
  }

  /** Whole blocks are zeros afterwards; what lies beside them stays. */
  #trim(offset: number, length: number): Promise<void> {
    const first = Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
    const { sizeBytes } = this.#world.model;
    const end = offset + length === sizeBytes ? sizeBytes : Math.floor((offset + length) / BLOCK_BYTES) * BLOCK_BYTES;
    if (end <= first) return this.#flush();
    return this.#change(`trims ${length} at ${offset}`, this.#world.model.beginZeroes(first, end - first), () =>
      this.#attachment.view.trim(offset, length),
    );
  }

  async #change(what: string, model: ModelWrite, start: () => void | Promise<void>): Promise<void> {
    const durable = this.#random.chance(0.1);
    const done = this.#note(durable ? `${what} with FUA` : what);
    await this.#settle(
      async () => {
        const { view, spec } = this.#attachment;
        const waits = start();
        if (waits !== undefined) await waits;
        view.commit();
        if (durable) await view.flush();
        if (this.#dead) return;
        done();
        this.#world.acknowledged(this.#host, spec.epoch);
        model.acknowledged({ durable });
      },
      () => model.failed(),
    );
  }

  async #flush(): Promise<void> {
    const done = this.#note('flushes');
    const model = this.#world.model.beginFlush();
    await this.#settle(async () => {
      await this.#attachment.view.flush();
      if (this.#dead) return;
      done();
      model.completed();
    });
  }

  /** Runs a request; a refusal is an answer, anything else a defect. */
  async #settle(run: () => Promise<void>, failed: () => void = () => {}): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (error instanceof ProcessGone || this.#dead) return;
      failed();
      const code = codeOfError(error);
      const expected = this.#world.storageFails ? STORAGE_REFUSALS : REFUSALS;
      const gaveUp = this.#gone.signal.aborted && (error as Error).name === 'AbortError';
      if (!gaveUp && (code === null || !expected.includes(code))) this.#world.fail(error);
      // An export that refuses is asked again, but not at once.
      await this.#world.pause(1);
    }
  }

  /** Puts a request, and later its answer, into the trace. */
  #note(what: string): () => void {
    const name = `${this.#host.name}'s guest, request ${++this.#requests}`;
    this.#world.simulation.note(`${name}: ${what}`);
    return () => this.#world.simulation.note(`${name}: done`);
  }

  /** Resolves when the process is gone, so that nobody waits for its answers. */
  #death(): Promise<void> {
    return this.#host.deathOf(this.#incarnation);
  }
}
