/** Time as the rest sees it: injected, so that a simulation can own it. */
import { DiskswarmError } from './errors.ts';

/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic microseconds since an arbitrary start. Fractions are allowed. */
  nowUs(): number;
  /** Wall-clock milliseconds since 1970, for display and records only: no decision about trust reads it. */
  wallMs(): number;
  /** Calls `callback` once after `delayMs`. A pending timer does not keep the process alive when `background` is set. */
  setTimer(delayMs: number, callback: () => void, options?: { background?: boolean }): Timer;
}

/** Resolves after `delayMs`; rejects with ABORTED when `signal` fires first. */
export function sleep(clock: Clock, delayMs: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(new DiskswarmError('ABORTED', 'the wait was given up'));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(new DiskswarmError('ABORTED', 'the wait was given up'));
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
