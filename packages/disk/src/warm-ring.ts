/**
 * Remembers, oldest first, what was read or written lately, within a fixed count: what falls out is read asynchronously again.
 *
 * First in, first out: an entry that is still hot costs one asynchronous read per turn of the ring, which is cheaper than
 * keeping an order on every read. An entry may stand in the ring twice; then it falls out early, never late.
 */
const FIRST_SLOTS = 1024;

export class WarmRing {
  readonly #capacity: number;
  readonly #cool: (entry: number) => void;
  #slots: Float64Array;
  #next = 0;
  #used = 0;

  /** At most `capacity` entries (at least 1) stay; `cool` is told of each that falls out. */
  constructor(capacity: number, cool: (entry: number) => void) {
    this.#capacity = Math.max(1, Math.floor(capacity));
    this.#cool = cool;
    this.#slots = new Float64Array(Math.min(FIRST_SLOTS, this.#capacity));
  }

  push(entry: number): void {
    if (this.#used === this.#slots.length) {
      if (this.#used < this.#capacity) this.#grow();
      else this.#cool(this.#slots[this.#next]!);
    }
    if (this.#used < this.#slots.length) this.#used++;
    this.#slots[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#slots.length;
  }

  /** Only while the ring has never turned: slot 0 is the oldest. */
  #grow(): void {
    const slots = new Float64Array(Math.min(this.#capacity, this.#slots.length * 2));
    slots.set(this.#slots);
    this.#next = this.#slots.length;
    this.#slots = slots;
  }
}
