/**
 * What a peer's answers say about the next one: its shortest response per size, its rate, and how far off guesses were.
 *
 * expected = max(shortest response, bytes asked for / rate): requests travel together, so a pipe that holds three chunks
 * answers a fourth when four have been sent. late = max(200 ms, 2 × expected, expected + 4 × mean error).
 * The shortest response is taken over the last 30 to 60 s, so that a longer route is believed in the end.
 */
import { BusyRate } from './busy-rate.ts';
import { PATIENCE } from './limits.ts';

const ERROR_WEIGHT = 1 / 8;
/** One answer after minutes may not make every later fault wait for minutes: that was a stall, not a rate. */
const MAX_ERROR_US = 2_000_000;
const MAX_BUSY_US = 2_000_000;

interface Shortest {
  currentUs: number;
  previousUs: number;
  sinceUs: number;
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
   */
  learn(
    lengthBytes: number,
    sentAtUs: number,
    expectedUs: number,
    nowUs: number,
    { whole = true }: { whole?: boolean } = {},
  ): void {
    const responseUs = Math.max(1, nowUs - sentAtUs);
    const sizeClass = Math.floor(Math.log2(lengthBytes));
    const known = this.#shortest.get(sizeClass);
    if (known === undefined) {
      const never = Number.POSITIVE_INFINITY;
      this.#shortest.set(sizeClass, { currentUs: responseUs, previousUs: never, sinceUs: nowUs });
    } else if (nowUs - known.sinceUs > PATIENCE.baseWindowUs) {
      known.previousUs = known.currentUs;
      known.currentUs = responseUs;
      known.sinceUs = nowUs;
    } else {
      known.currentUs = Math.min(known.currentUs, responseUs);
    }
    this.learnError(responseUs, expectedUs);
    const before = this.#lastAnswerUs;
    this.#lastAnswerUs = nowUs;
    if (!whole) return;
    this.#rate.add(lengthBytes, Math.min(MAX_BUSY_US, nowUs - Math.max(sentAtUs, before)));
    if (sentAtUs < before) this.#link.add(lengthBytes, Math.min(MAX_BUSY_US, nowUs - before));
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

  /** How long a request for `lengthBytes` takes behind `outstandingBytes`. */
  expectedUs(outstandingBytes: number, lengthBytes: number): number {
    const baseUs = this.baseUs(lengthBytes);
    if (baseUs === null) return PATIENCE.unmeasuredUs * (1 + outstandingBytes / lengthBytes);
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
