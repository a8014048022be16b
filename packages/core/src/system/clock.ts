/** The real clock. */
import type { Clock } from '../clock.ts';

export const systemClock: Clock = {
  nowUs: () => performance.now() * 1000,
  wallMs: () => Date.now(),
  setTimer(delayMs, callback, options) {
    const timer = setTimeout(callback, Math.max(0, delayMs));
    if (options?.background === true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
