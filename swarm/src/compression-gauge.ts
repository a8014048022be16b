/**
 * Whether the bytes of a disk are worth compressing, by what came of the last ones.
 *
 * Two thresholds, so that a disk between them does not change its mind all the time. While it does not pay, one try in 64 keeps looking.
 */

/** Share of the bytes that is left: above the first compression stops, below the second it begins again. */
const STOP_SHARE = 0.94;
const BEGIN_SHARE = 0.85;
/** Weight of one result. */
const WEIGHT = 1 / 8;
const TRY_EVERY = 64;

export class CompressionGauge {
  #share = 0.5;
  #pays = true;
  #passed = 0;

  /** It pays, as far as is known. */
  get pays(): boolean {
    return this.#pays;
  }

  /** True when the next bytes should be compressed; counts them. */
  tries(): boolean {
    return this.#pays || ++this.#passed % TRY_EVERY === 0;
  }

  /** So many bytes became so many; true when these are worth sending. */
  learn(plainBytes: number, compressedBytes: number): boolean {
    const share = compressedBytes / plainBytes;
    this.#share += (share - this.#share) * WEIGHT;
    if (this.#share > STOP_SHARE) this.#pays = false;
    else if (this.#share < BEGIN_SHARE) this.#pays = true;
    return share <= STOP_SHARE;
  }
}
