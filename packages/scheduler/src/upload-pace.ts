/**
 * How fast the background may be sent to one host so that whoever shares the way keeps it: a rate that gives in to delay.
 *
 * After LEDBAT (RFC 6817), as a rate instead of a window, because what is held back is the next chunk:
 * - Queue = round trip beyond the shortest of the last minutes. A round is at least four round trips measured and 200 ms; its
 *   shortest one counts, because a busy process, here or there, delays some and a queue all of them.
 * - What is steered is a window, the bytes that may be on the way there and back: beyond the target of 50 ms it shrinks to what
 *   would queue just that, less up to a quarter a round; below, it grows by up to a quarter, so that what others left is found
 *   again. The rate is that window over the round trip: as a queue builds the rate falls by itself, before the window does.
 * - It grows only while at least half of it was used: what is not used is not known to be free.
 * - A pause begins a new round, unless the pace made it: at a slow rate chunks leave seconds apart.
 * - Nothing is held back until a round queued beyond the target, nor any more once for eight rounds nothing did and more was
 *   allowed than left. A receiver's own credit keeps below the target: this is for many receivers, and for others' traffic.
 * Pure: it is told of round trips and of bytes, and asked for the rate.
 */

export const UPLOAD_PACE = {
  /** Queue that is left standing; above what one receiver's credit builds (25 ms). */
  targetUs: 50_000,
  /** Bytes per second below which the background is not pushed: it goes on, however busy the way. */
  floorBytesPerSecond: 32 * 1024,
  roundUs: 200_000,
  roundSamples: 4,
  quietRounds: 8,
  /** What was measured before nothing was sent for so long does not belong to the round. */
  pauseUs: 1_000_000,
  /** The shortest round trip counts for one to two of these. */
  baseWindowUs: 120_000_000,
} as const;

export class UploadPace {
  #rate: number | null = null;
  #windowBytes = 0;
  #baseUs = Number.POSITIVE_INFINITY;
  #olderBaseUs = Number.POSITIVE_INFINITY;
  #baseSinceUs: number | null = null;
  #roundSinceUs: number | null = null;
  /** Of this round. */
  readonly #rtts: number[] = [];
  #lastRttUs = Number.POSITIVE_INFINITY;
  #sentBytes = 0;
  #paused = false;
  #measuredUs = Number.NEGATIVE_INFINITY;
  #sentSinceBytes = 0;
  #quietRounds = 0;
  /** At least half of what was allowed left. */
  #used = true;

  /** What the background may send; null: as much as it likes. */
  get bytesPerSecond(): number | null {
    return this.#rate;
  }

  /** Background bytes left for the host. */
  sent(lengthBytes: number): void {
    this.#sentBytes += lengthBytes;
    this.#sentSinceBytes += lengthBytes;
  }

  /** A round trip was measured while the background was being sent; true when the rate is another now. */
  measured(rttUs: number, nowUs: number): boolean {
    this.#learnBase(rttUs, nowUs);
    if (this.#paused && !this.#heldSince(this.#measuredUs, nowUs)) this.#beginRound(this.#sentSinceBytes);
    this.#paused = false;
    this.#measuredUs = nowUs;
    this.#sentSinceBytes = 0;
    this.#roundSinceUs ??= nowUs;
    this.#rtts.push(rttUs);
    const before = this.#rate;
    const tookUs = nowUs - this.#roundSinceUs;
    if (this.#rtts.length >= UPLOAD_PACE.roundSamples && tookUs >= UPLOAD_PACE.roundUs) {
      this.#endRound(Math.min(...this.#rtts), (this.#sentBytes * 1e6) / tookUs);
      this.#beginRound();
      this.#roundSinceUs = nowUs;
    }
    if (this.#rate !== null) this.#follow(rttUs);
    return this.#rate !== before;
  }

  /** Nothing was sent for a while: what was measured so far in this round says nothing, unless the pace itself held it back. */
  restart(): void {
    this.#paused = true;
  }

  /** True when what was sent since then takes about as long at the rate. */
  #heldSince(sinceUs: number, nowUs: number): boolean {
    if (this.#rate === null) return false;
    return nowUs - sinceUs <= (this.#sentSinceBytes * 1e6) / this.#rate + UPLOAD_PACE.pauseUs;
  }

  #beginRound(sentBytes = 0): void {
    this.#roundSinceUs = null;
    this.#rtts.length = 0;
    this.#sentBytes = sentBytes;
  }

  #endRound(rttUs: number, sentPerSecond: number): void {
    const { targetUs, quietRounds, floorBytesPerSecond } = UPLOAD_PACE;
    const baseUs = Math.min(this.#baseUs, this.#olderBaseUs);
    const queueUs = rttUs - baseUs;
    const off = Math.max(-1, 1 - queueUs / targetUs);
    // What a way that carries this much holds with just the target queued.
    const holdsBytes = (sentPerSecond * (baseUs + targetUs)) / 1e6;
    if (this.#rate === null) {
      if (off >= 0) return;
      this.#windowBytes = holdsBytes;
      this.#rate = sentPerSecond;
    }
    this.#quietRounds = queueUs < targetUs / 2 ? this.#quietRounds + 1 : 0;
    this.#used = this.#rate < 2 * sentPerSecond;
    if (off < 0) this.#windowBytes = Math.min(this.#windowBytes, holdsBytes) * (1 + off / 4);
    else if (this.#used) this.#windowBytes *= 1 + off / 4;
    else if (this.#quietRounds >= quietRounds) this.#rate = null;
    // Not less than the floor needs: it would take for ever to grow again.
    this.#windowBytes = Math.max(this.#windowBytes, (floorBytesPerSecond * (baseUs + targetUs)) / 1e6);
  }

  /** The rate follows every round trip, the shorter of the last two: between rounds the window stays. */
  #follow(rttUs: number): void {
    const shorterUs = Math.min(rttUs, this.#lastRttUs);
    this.#lastRttUs = rttUs;
    const rate = Math.max(UPLOAD_PACE.floorBytesPerSecond, (this.#windowBytes * 1e6) / shorterUs);
    if (this.#used || rate < (this.#rate ?? 0)) this.#rate = rate;
  }

  #learnBase(rttUs: number, nowUs: number): void {
    this.#baseSinceUs ??= nowUs;
    if (nowUs - this.#baseSinceUs > UPLOAD_PACE.baseWindowUs) {
      this.#olderBaseUs = this.#baseUs;
      this.#baseUs = rttUs;
      this.#baseSinceUs = nowUs;
    } else this.#baseUs = Math.min(this.#baseUs, rttUs);
  }
}
