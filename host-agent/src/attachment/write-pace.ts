/**
 * Slows a guest's writes while its machine moves: each is answered a delay after the one before. What decides the delay is the migration's.
 *
 * What waits here is written and committed already, so a hold, a flush or the end of the agent loses nothing. The delay is kept in memory only and is a
 * lease: who set it must set it again, or it ends by itself, whatever became of the migration. When it ends, everything that waits is answered at once.
 */
import { type Clock, KIB, type Timer } from '@diskswarm/core';
import type { WriteGate } from '@diskswarm/nbd';

/** A large write counts once for each of these: it makes as many chunks. */
const WRITE_BYTES = 64 * KIB;
/** A delay that is not set again ends after this long. */
export const LEASE_MS = 5_000;
/** Longest wait of an answer, however many are in front of it: guests give a request up after 30 s. */
const MAX_ANSWER_WAIT_MS = 10_000;
/** What is due so soon is answered now, and counts: a timer is not as fine as that. */
const AT_ONCE_US = 1_000;

export class WritePace implements WriteGate {
  readonly #clock: Clock;
  #delayUs = 0;
  #writes = 0;
  /** When the last write that was booked is due; the next one is behind it. */
  #bookedUntilUs = 0;
  /** In the order in which they are due. */
  #waiting: { readonly dueUs: number; readonly answer: () => void }[] = [];
  #timer: Timer | null = null;
  #lease: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of each write; 0 when none is slowed. */
  get delayUs(): number {
    return this.#delayUs;
  }

  /** Writes that were booked. */
  get writes(): number {
    return this.#writes;
  }

  /** Delays each write by `delayUs` for LEASE_MS from now; 0 ends it. */
  set(delayUs: number): void {
    this.#lease?.cancel();
    this.#lease = null;
    this.#delayUs = delayUs;
    if (delayUs > 0) this.#lease = this.#clock.setTimer(LEASE_MS, () => this.end(), { background: true });
    else this.#answerAll();
  }

  /** Answers what waits, and slows nobody any more. */
  end(): void {
    this.set(0);
  }

  book(payloadBytes: number): number {
    const count = Math.max(1, Math.ceil(payloadBytes / WRITE_BYTES));
    this.#writes += count;
    if (this.#delayUs === 0) return 0;
    const nowUs = this.#clock.nowUs();
    const dueUs = Math.max(nowUs, this.#bookedUntilUs) + count * this.#delayUs;
    this.#bookedUntilUs = Math.min(dueUs, nowUs + MAX_ANSWER_WAIT_MS * 1000);
    return this.#bookedUntilUs < nowUs + AT_ONCE_US ? 0 : this.#bookedUntilUs;
  }

  wait(dueUs: number, answer: () => void): void {
    this.#waiting.push({ dueUs, answer });
    if (this.#timer === null) this.#arm();
  }

  #arm(): void {
    const first = this.#waiting[0];
    this.#timer = null;
    if (first === undefined) return;
    const delayMs = Math.max(0, (first.dueUs - this.#clock.nowUs()) / 1000);
    this.#timer = this.#clock.setTimer(delayMs, () => this.#answerDue());
  }

  #answerDue(): void {
    const soonUs = this.#clock.nowUs() + AT_ONCE_US;
    const behind = this.#waiting.findIndex(({ dueUs }) => dueUs >= soonUs);
    const due = this.#waiting.splice(0, behind < 0 ? this.#waiting.length : behind);
    this.#arm();
    for (const { answer } of due) answer();
  }

  #answerAll(): void {
    const all = this.#waiting;
    this.#waiting = [];
    this.#timer?.cancel();
    this.#timer = null;
    this.#bookedUntilUs = 0;
    for (const { answer } of all) answer();
  }
}
