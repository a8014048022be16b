/** Gives work up when it takes too long. */
import { type Clock, DiskswarmError, type Timer } from '@diskswarm/core';

export interface TimeLimit {
  readonly clock: Clock;
  /** Null for no limit. */
  readonly limitMs: number | null;
  readonly signal: AbortSignal;
  /** What is waited for, for the message. */
  readonly what: string;
}

/**
 * Runs `work` with a signal that fires at the limit or with the caller's; TIMEOUT at the limit. Work that does not listen to its signal is
 * left behind.
 */
export async function within<Result>(
  limit: TimeLimit,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { clock, limitMs, signal, what } = limit;
  let timer: Timer | null = null;
  const controller = new AbortController();
  let onAbort = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    onAbort = () => {
      controller.abort();
      reject(new DiskswarmError('ABORTED', `${what}: given up`));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  const late = new Promise<never>((_, reject) => {
    if (limitMs === null) return;
    timer = clock.setTimer(limitMs, () => {
      controller.abort();
      const seconds = limitMs / 1000;
      reject(new DiskswarmError('TIMEOUT', `${what}: not within ${seconds} s`, { data: { timeoutSeconds: seconds } }));
    });
  });
  try {
    return await Promise.race([work(controller.signal), ended, late]);
  } finally {
    (timer as Timer | null)?.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
