/** Bytes per time while something was under way: a mean over busy time, in which the last few periods count most. */

/** The mean is renewed after so much busy time, or so many bytes. */
const PERIOD_US = 50_000;
const PERIOD_BYTES = 1024 * 1024;
const WEIGHT = 0.3;

export class BusyRate {
  #bytesPerUs: number | null = null;
  #bytes = 0;
  #busyUs = 0;

  /** Null before a first period was over. */
  get bytesPerUs(): number | null {
    return this.#bytesPerUs;
  }

  /** So much was seen at least: a mean that is less is out of date. */
  atLeast(bytesPerUs: number): void {
    if (this.#bytesPerUs !== null) this.#bytesPerUs = Math.max(this.#bytesPerUs, bytesPerUs);
  }

  /** So many bytes took so long. */
  add(lengthBytes: number, tookUs: number): void {
    this.#bytes += lengthBytes;
    this.#busyUs += tookUs;
    if (this.#busyUs < PERIOD_US && (this.#bytes < PERIOD_BYTES || this.#busyUs === 0)) return;
    const rate = this.#bytes / this.#busyUs;
    this.#bytesPerUs = this.#bytesPerUs === null ? rate : this.#bytesPerUs + (rate - this.#bytesPerUs) * WEIGHT;
    this.#bytes = 0;
    this.#busyUs = 0;
  }
}
