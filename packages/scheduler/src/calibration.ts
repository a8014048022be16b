/**
 * When background pauses to measure: a shortest response is only worth something if nothing else was on the way.
 *
 * Peers that are first measured while others fill the downlink take the common queue for distance, and the host would
 * never see that queue. So background runs dry, then each peer answers one request alone; a second at most, then every
 * 30 s (after 10 s where peers were left out, 5 s after the last one for a new peer). That costs about one percent.
 * With several peers no request is alone otherwise: credit at its floor, as when this machine became busy, is looked into after 5 s
 * too, but after 30 s where that showed nothing. A peer whose lone answer is beyond what is usual is asked again before the next one, until it is settled what is (response-model).
 * Faults go on as ever. Leaves to dispatch.ts: which chunk. Requests at late peers do not hold it up.
 */
import type { Peer } from './peer.ts';

const LONGEST_US = 1_000_000;
/** While credit is at its floor one request at a time costs next to nothing. */
const LONGEST_AT_FLOOR_US = 5_000_000;
const EVERY_US = 30_000_000;
const UNFINISHED_US = 10_000_000;
const SOON_US = 5_000_000;
const NOTHING_ASKED_US = 1_000_000;

export class Calibration {
  #running = false;
  #beganUs = Number.NEGATIVE_INFINITY;
  #endedUs = Number.NEGATIVE_INFINITY;
  #nextUs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #longestUs = LONGEST_US;
  #doubted = false;
  /** When one at the floor ended that showed nothing. */
  #inVainUs = Number.NEGATIVE_INFINITY;

  /** When the one that runs ends at the latest. */
  get endsUs(): number {
    return this.#beganUs + this.#longestUs;
  }

  /** True from its beginning to its end. */
  running(nowUs: number): boolean {
    if (this.#running && nowUs >= this.endsUs) this.end(nowUs, true);
    return this.#running;
  }

  /** Begins when it is time; true when it did. */
  begin(nowUs: number, { atFloor }: { atFloor: boolean }): boolean {
    if (atFloor && nowUs >= this.#inVainUs + EVERY_US) this.hurry();
    if (nowUs < this.#nextUs) return false;
    this.#longestUs = atFloor ? LONGEST_AT_FLOOR_US : LONGEST_US;
    this.#doubted = false;
    this.#running = true;
    this.#beganUs = nowUs;
    this.#asked = 0;
    return true;
  }

  /** True when faults that are under way should stay alone for now: they measure as well. */
  leavesToFaults(nowUs: number): boolean {
    return this.#longestUs === LONGEST_AT_FLOOR_US && nowUs - this.#beganUs < LONGEST_US;
  }

  /** True when this peer is still to be asked alone. */
  wants(peer: Peer): boolean {
    return peer.calibratedUs < this.#beganUs && !peer.late;
  }

  /** True when this peer was asked alone and what it answered leaves doubt. */
  doubts(peer: Peer): boolean {
    const doubts = peer.calibratedUs >= this.#beganUs && !peer.late && peer.model.inDoubt;
    this.#doubted ||= doubts;
    return doubts;
  }

  /** This peer was asked alone. */
  asked(peer: Peer, nowUs: number): void {
    peer.calibratedUs = nowUs;
    this.#asked++;
  }

  /** Ends it; `unfinished` when peers were left out. */
  end(nowUs: number, unfinished: boolean): void {
    this.#running = false;
    this.#endedUs = nowUs;
    if (this.#longestUs === LONGEST_AT_FLOOR_US && !this.#doubted) this.#inVainUs = nowUs;
    this.#nextUs = nowUs + (this.#asked === 0 ? NOTHING_ASKED_US : unfinished ? UNFINISHED_US : EVERY_US);
  }

  /** A peer joined, or answers are quicker than was usual: the next one comes sooner. */
  hurry(): void {
    this.#nextUs = Math.min(this.#nextUs, this.#endedUs + SOON_US);
  }
}
