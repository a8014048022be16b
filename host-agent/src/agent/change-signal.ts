/** Says that something changed; whoever waits for a condition looks again. */
import { DiskswarmError } from '@diskswarm/core';

export class ChangeSignal {
  readonly #waiters = new Set<() => void>();

  fire(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /** Resolves once `condition` holds, looking now and after every change; rejects with ABORTED. */
  async until(condition: () => boolean | Promise<boolean>, { signal }: { signal: AbortSignal }): Promise<void> {
    for (;;) {
      const change = this.#next(signal);
      change.catch(() => {}); // Seen below, or not needed.
      if (await condition()) return;
      await change;
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#waiters.delete(done);
        reject(new DiskswarmError('ABORTED', 'the wait was given up'));
      };
      const done = (): void => {
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      if (signal.aborted) {
        aborted();
        return;
      }
      this.#waiters.add(done);
      signal.addEventListener('abort', aborted, { once: true });
    });
  }
}
