/**
 * When background pauses to measure: a shortest response is only worth something if nothing else was on the way.
 *
 * Peers that are first measured while others fill the downlink take the common queue for distance, and the host would
 * never see that queue. So background runs dry, then each peer answers one request alone; a second at most, then every
 * 30 s (after 10 s where peers were left out, 5 s after the last one for a new peer). That costs about one percent.
 * Faults go on as ever. Leaves to dispatch.ts: which chunk. Requests at late peers do not hold it up.
 */
import type { Peer } from './peer.ts';

const LONGEST_US = 1_000_000;
const EVERY_US = 30_000_000;
const UNFINISHED_US = 10_000_000;
const NEW_PEER_US = 5_000_000;
const NOTHING_ASKED_US = 1_000_000;

export class Calibration {
  #running = false;
  #beganUs = Number.NEGATIVE_INFINITY;
  #endedUs = Number.NEGATIVE_INFINITY;
  #nextUs = Number.NEGATIVE_INFINITY;
  #asked = 0;

  /** When the one that runs ends at the latest. */
  get endsUs(): number {
    return this.#beganUs + LONGEST_US;
  }

  /** True from its beginning to its end. */
  running(nowUs: number): boolean {
    if (this.#running && nowUs >= this.endsUs) this.end(nowUs, true);
    return this.#running;
  }

  /** Begins when it is time; true when it did. */
  begin(nowUs: number): boolean {
    if (nowUs < this.#nextUs) return false;
    this.#running = true;
    this.#beganUs = nowUs;
    this.#asked = 0;
    return true;
  }

  /** True when this peer is still to be asked alone. */
  wants(peer: Peer): boolean {
    return peer.calibratedUs < this.#beganUs && !peer.late;
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
    this.#nextUs = nowUs + (this.#asked === 0 ? NOTHING_ASKED_US : unfinished ? UNFINISHED_US : EVERY_US);
  }

  /** A peer joined: the next one comes sooner. */
  peerJoined(): void {
    this.#nextUs = Math.min(this.#nextUs, this.#endedUs + NEW_PEER_US);
  }
}
