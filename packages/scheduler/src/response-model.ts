/**
 * What a peer's answers say about the next one: its shortest response per size, its rate, and how far off guesses were.
 *
 * expected = max(shortest response, bytes asked for / rate): requests travel together, so a pipe that holds three chunks
 * answers a fourth when four have been sent. late = max(200 ms, 2 × expected, expected + 4 × mean error).
 * The shortest response is taken over the last 30 to 60 s, so that a longer route is believed in the end.
 * Usual is what a lone answer takes now: three in a row beyond the shortest, and none sooner meanwhile, show a machine that became busy
 * or a queue of somebody else's, since nothing of ours was under way to queue behind. One answer that is sooner takes that back.
 */
import { BusyRate } from './busy-rate.ts';
import { queueTargetUs } from './credit-window.ts';
import { PATIENCE } from './limits.ts';

const ERROR_WEIGHT = 1 / 8;
/** One answer after minutes may not make every later fault wait for minutes: that was a stall, not a rate. */
const MAX_ERROR_US = 2_000_000;
const MAX_BUSY_US = 2_000_000;
/** So many answers to lone requests say what is usual: one may have met a garbage collection. */
const LONE_ANSWERS = 3;

interface Shortest {
  currentUs: number;
  previousUs: number;
  sinceUs: number;
  usualUs: number;
  /** Of the answers since the last usual one: the shortest, and how many were to lone requests. */
  slowUs: number;
  slowLone: number;
}

export class ResponseModel {
  /** By size class: powers of two of the length. */
  readonly #shortest = new Map<number, Shortest>();
  #errorUs: number | null = null;
  readonly #rate = new BusyRate();
  readonly #link = new BusyRate();
  #lastAnswerUs = Number.NEGATIVE_INFINITY;

  /** True once an answer was seen. */
  get measured(): boolean {
    return this.#shortest.size > 0;
  }

  /** Bytes per second while busy, or null. */
  get bytesPerSecond(): number | null {
    const { bytesPerUs } = this.#rate;
    return bytesPerUs === null ? null : bytesPerUs * 1e6;
  }

  /** The same of chunks that came right behind each other: what the way carries, without the wait for a lone answer. */
  get linkBytesPerSecond(): number | null {
    const { bytesPerUs } = this.#link;
    return bytesPerUs === null ? null : bytesPerUs * 1e6;
  }

  /** The shortest response of any size class, or null. */
  get shortestUs(): number | null {
    let least: number | null = null;
    for (const { currentUs, previousUs } of this.#shortest.values()) {
      least = Math.min(least ?? Number.POSITIVE_INFINITY, currentUs, previousUs);
    }
    return least;
  }

  /**
   * Learns from an answer of `lengthBytes` to a request of `sentAtUs` that was expected to take `expectedUs`. One that is not the `whole`
   * chunk, because it travelled packed, says how long such a one takes and nothing of the rate: what it took was not the link's doing.
   * `alone`: nothing else was under way to this host while it was.
   */
  learn(
    lengthBytes: number,
    sentAtUs: number,
    expectedUs: number,
    nowUs: number,
    { whole = true, alone = false }: { whole?: boolean; alone?: boolean } = {},
  ): void {
    const responseUs = Math.max(1, nowUs - sentAtUs);
    const sizeClass = Math.floor(Math.log2(lengthBytes));
    const never = Number.POSITIVE_INFINITY;
    const known = this.#shortest.get(sizeClass);
    if (known === undefined) {
      const usual = { usualUs: responseUs, slowUs: never, slowLone: 0 };
      this.#shortest.set(sizeClass, { currentUs: responseUs, previousUs: never, sinceUs: nowUs, ...usual });
    } else if (nowUs - known.sinceUs > PATIENCE.baseWindowUs) {
      known.previousUs = known.currentUs;
      known.currentUs = responseUs;
      known.sinceUs = nowUs;
    } else {
      known.currentUs = Math.min(known.currentUs, responseUs);
    }
    if (known !== undefined) this.#settle(known, responseUs, alone);
    this.learnError(responseUs, expectedUs);
    const before = this.#lastAnswerUs;
    this.#lastAnswerUs = nowUs;
    if (!whole) return;
    this.#rate.add(lengthBytes, Math.min(MAX_BUSY_US, nowUs - Math.max(sentAtUs, before)));
    this.#rate.atLeast(lengthBytes / responseUs);
    if (sentAtUs < before) this.#link.add(lengthBytes, Math.min(MAX_BUSY_US, nowUs - before));
  }

  /** One answer more of a size that is known. */
  #settle(known: Shortest, responseUs: number, alone: boolean): void {
    known.usualUs = Math.min(known.usualUs, responseUs);
    const baseUs = Math.min(known.currentUs, known.previousUs);
    const slow = responseUs > Math.max(baseUs, known.usualUs) + queueTargetUs(baseUs);
    if (slow) {
      known.slowUs = Math.min(known.slowUs, responseUs);
      if (!alone || ++known.slowLone < LONE_ANSWERS) return;
      known.usualUs = known.slowUs;
    }
    // A lone answer speaks of the machine, so that doubts about other sizes end with those about this one.
    for (const size of alone ? this.#shortest.values() : [known]) {
      size.slowUs = Number.POSITIVE_INFINITY;
      size.slowLone = 0;
    }
  }

  /** Learns only how far off a guess was: also from a request that was given up after `waitedUs`. */
  learnError(waitedUs: number, expectedUs: number): void {
    const errorUs = Math.min(Math.abs(waitedUs - expectedUs), MAX_ERROR_US);
    this.#errorUs = this.#errorUs === null ? errorUs / 2 : this.#errorUs + (errorUs - this.#errorUs) * ERROR_WEIGHT;
  }

  /** The shortest recent response to a request of this size; from another size by the rate; null when unmeasured. */
  baseUs(lengthBytes: number): number | null {
    const sizeClass = Math.floor(Math.log2(lengthBytes));
    const known = this.#shortest.get(sizeClass);
    if (known !== undefined) return Math.min(known.currentUs, known.previousUs);
    for (const [otherClass, { currentUs, previousUs }] of this.#shortest) {
      const moreBytes = Math.max(0, lengthBytes - 2 ** otherClass);
      return Math.min(currentUs, previousUs) + (this.#rate.bytesPerUs === null ? 0 : moreBytes / this.#rate.bytesPerUs);
    }
    return null;
  }

  /** What a lone request of this size takes now: the shortest response or more; null when unmeasured. */
  usualUs(lengthBytes: number): number | null {
    const baseUs = this.baseUs(lengthBytes);
    const known = this.#shortest.get(Math.floor(Math.log2(lengthBytes)));
    return baseUs === null ? null : Math.max(baseUs, known?.usualUs ?? 0);
  }

  /** True when the last answers took longer than usual by more than a queue may, the one to a lone request too, but too few did to settle it. */
  get inDoubt(): boolean {
    for (const { slowLone } of this.#shortest.values()) if (slowLone > 0) return true;
    return false;
  }

  /** How long a request for `lengthBytes` takes behind `outstandingBytes`; while nothing was measured, by the round trip (null: unknown). */
  expectedUs(outstandingBytes: number, lengthBytes: number, roundTripUs: number | null = null): number {
    const baseUs = this.baseUs(lengthBytes);
    if (baseUs === null) {
      const guessUs = (roundTripUs ?? Number.POSITIVE_INFINITY) * PATIENCE.unmeasuredRoundTrips;
      return Math.min(PATIENCE.unmeasuredUs, guessUs) * (1 + outstandingBytes / lengthBytes);
    }
    // Without a rate each request under way is taken to cost as much as a whole response.
    const bytesPerUs = this.#rate.bytesPerUs ?? lengthBytes / baseUs;
    return Math.max(baseUs, (outstandingBytes + lengthBytes) / bytesPerUs);
  }

  /** After how long a fault that was expected to take `expectedUs` is asked again elsewhere. */
  lateAfterUs(expectedUs: number): number {
    const errorUs = this.#errorUs ?? expectedUs / 2;
    return Math.max(PATIENCE.lateFloorUs, 2 * expectedUs, expectedUs + 4 * errorUs);
  }
}
