/** A bound on how many operations run at once; the others wait in order. */
export class Slots {
  #free: number;
  readonly #total: number;
  readonly #waiting: (() => void)[] = [];
  #whenIdle: (() => void)[] = [];

  constructor(total: number) {
    this.#free = total;
    this.#total = total;
  }

  /** Resolves when one of the slots is the caller's; it gives it back with `release`. */
  async acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#free++;
    if (this.#free === this.#total) for (const wake of this.#whenIdle.splice(0)) wake();
  }

  /** Resolves when no slot is taken. */
  async idle(): Promise<void> {
    if (this.#free < this.#total) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }
}
