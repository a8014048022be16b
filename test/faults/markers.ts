/**
 * What the guest was told is durable: a writer in it that goes on during a migration, and the check that all of it is there afterwards.
 *
 * A marker is a small file under a name of its own, so that an answer that got lost leaves nothing in doubt about the others. Answers are listened for
 * where the guest ran when it was asked.
 */
import type { VmGuest } from '../e2e/vm-guest.ts';

/** More would make the check longer than the run. */
const MAX_MARKERS = 10;
const MARKER_BYTES = 20_000;
const BETWEEN_MS = 120;
const PATIENCE_MS = 5_000;

export class Markers {
  readonly #guest: VmGuest;
  /** Digest of each that the guest acknowledged. */
  readonly #durable = new Map<string, string>();
  #asked = 0;
  #writing: Promise<void> | null = null;
  #stopped = false;

  constructor(guest: VmGuest) {
    this.#guest = guest;
  }

  get count(): number {
    return this.#durable.size;
  }

  /** One that has to be acknowledged. */
  async write(): Promise<void> {
    const name = `marker-${this.#asked++}`;
    const words = await this.#guest.say('write', name, MARKER_BYTES, this.#asked);
    this.#durable.set(name, words[2]!);
  }

  /** Writes one after the other until `stop`, or until the guest is not heard any more. */
  start(): void {
    const write = async (): Promise<void> => {
      while (!this.#stopped && this.#asked < MAX_MARKERS) {
        await this.write();
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
      }
    };
    this.#writing = write().catch(() => {}); // The guest left or died: what it acknowledged counts.
  }

  /** No marker is asked for any more; one that is under way is waited for a while, because its answer may have got lost. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
    await Promise.race([this.#writing, patience]);
  }

  /** Every marker is there as it was acknowledged; the names of those that are not. */
  async missing(): Promise<string[]> {
    const missing: string[] = [];
    for (const [name, digest] of this.#durable) {
      await this.#guest.say('check', name, digest).catch(() => missing.push(name));
    }
    return missing;
  }
}
