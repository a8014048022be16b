/**
 * Tells many waiters of one AbortSignal with a single listener on it.
 *
 * Node looks through all listeners of a signal for each one that is added, and a background fetch has hundreds of waiters
 * on the same signal all the time.
 */
export class SharedAborts {
  readonly #waiting = new WeakMap<AbortSignal, Set<() => void>>();

  /** Calls `aborted` once when the signal, which has not fired yet, does; the function returned ends that. */
  on(signal: AbortSignal, aborted: () => void): () => void {
    let waiting = this.#waiting.get(signal);
    if (waiting === undefined) {
      const callbacks = new Set<() => void>();
      signal.addEventListener('abort', () => {
        for (const callback of callbacks) callback();
      });
      this.#waiting.set(signal, callbacks);
      waiting = callbacks;
    }
    waiting.add(aborted);
    return () => waiting.delete(aborted);
  }
}
