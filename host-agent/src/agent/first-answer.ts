/**
 * Asks several hosts the same thing, the best one first, and takes the first answer that is one.
 *
 * A host that has nothing is followed by the next at once; one that is silent is followed by the next after a while and may still win. Whoever
 * lost is told so by its signal. What is asked, and what an answer is worth, is the caller's business.
 */
import { type Clock, DiskswarmError, type Timer } from '@diskswarm/core';

export interface AskOptions<Peer, Answer> {
  readonly clock: Clock;
  /** Resolves with null when the peer has no answer; a rejection ends the question. */
  readonly ask: (peer: Peer, options: { signal: AbortSignal }) => Promise<Answer | null>;
  /** How long a peer may be silent before the next one is asked too. */
  readonly patienceMs: (peer: Peer) => number;
  readonly signal: AbortSignal;
}

/** Null when nobody has an answer; rejects with ABORTED when `signal` fires. */
export function firstAnswer<Peer, Answer>(
  peers: readonly Peer[],
  options: AskOptions<Peer, Answer>,
): Promise<Answer | null> {
  const { clock, ask, patienceMs, signal } = options;
  const losers = new AbortController();
  let waiting = 0;
  let next = 0;
  let timer: Timer | null = null;
  let settled = false;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      losers.abort();
      finish();
    };
    const onAbort = (): void => settle(() => reject(new DiskswarmError('ABORTED', 'the question was given up')));
    const askNext = (): void => {
      timer?.cancel();
      if (settled) return;
      if (next >= peers.length) {
        if (waiting === 0) settle(() => resolve(null));
        return;
      }
      const peer = peers[next++] as Peer;
      waiting++;
      const answered = (answer: Answer | null): void => {
        waiting--;
        if (answer === null) askNext();
        else settle(() => resolve(answer));
      };
      ask(peer, { signal: losers.signal }).then(answered, (error: unknown) => settle(() => reject(error)));
      if (next < peers.length) timer = clock.setTimer(patienceMs(peer), askNext, { background: true });
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    askNext();
  });
}
