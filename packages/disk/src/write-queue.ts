/**
 * Keeps writes in order while one of them waits: usually empty, and then nobody notices it.
 *
 * A write that must wait (for the free space to be asked again, for a long run of zeros) and all that come after it go through
 * here. The queue moves on when an operation has taken effect or has become pending; what it then waits for holds up nobody else.
 */
export class WriteQueue {
  #tail: Promise<unknown> | null = null;

  get isEmpty(): boolean {
    return this.#tail === null;
  }

  /** Runs `step` after all before it and holds up all after it until it settles; its failure is the caller's alone. */
  step(step: () => Promise<void>): Promise<void> {
    return this.#append(step);
  }

  /** Runs `operation` in its turn; resolves when what it started is done, without holding up the queue for that. */
  async run(operation: () => void | Promise<void>): Promise<void> {
    const { rest } = await this.#append(async () => {
      const started = operation();
      // Handled by the caller once the queue has moved on.
      if (started !== undefined) started.catch(() => {});
      return { rest: started };
    });
    await rest;
  }

  #append<Result>(step: () => Promise<Result>): Promise<Result> {
    const result = this.#tail === null ? step() : this.#tail.then(step);
    const tail = result.then(
      () => {},
      () => {},
    );
    this.#tail = tail;
    tail.then(() => {
      if (this.#tail === tail) this.#tail = null;
    });
    return result;
  }
}
