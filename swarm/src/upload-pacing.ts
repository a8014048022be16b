/**
 * Carries out the pace of the background towards one host: measures round trips while it leaves, and holds it back.
 *
 * A ping on the control lane is small and waits in no buffer of the bulk lane's: what delays it is the way itself, filled by this
 * host or by anybody else on the line. Nothing is measured, nor held back, while memory of a machine that moves is sent: the
 * link is split then. How fast is scheduler's to say (upload-pace.ts).
 */
import type { Clock } from '@diskswarm/core';
import { UploadPace } from '@diskswarm/scheduler';
import type { Gate } from './link-share.ts';
import { TokenBucket } from './token-bucket.ts';

/** Between two pings. */
const PROBE_US = 50_000;
/** A ping that was not answered for so long is given up. */
const LOST_US = 2_000_000;
/** What was measured before such a pause does not belong to the round. */
const PAUSE_US = 1_000_000;

export class UploadPacing implements Gate {
  readonly #clock: Clock;
  readonly #probe: () => void;
  readonly #onOpen: () => void;
  readonly #pace = new UploadPace();
  readonly #limit: TokenBucket;
  #probedUs = Number.NEGATIVE_INFINITY;
  #probing = false;
  #tookUs = Number.NEGATIVE_INFINITY;

  /** `probe` sends a ping; `onOpen`: more may leave. */
  constructor(clock: Clock, probe: () => void, onOpen: () => void) {
    this.#clock = clock;
    this.#probe = probe;
    this.#onOpen = onOpen;
    this.#limit = new TokenBucket(clock, null);
  }

  get open(): boolean {
    return this.#limit.open;
  }

  get waitMs(): number {
    return this.#limit.waitMs;
  }

  /** Background leaves. */
  take(lengthBytes: number): void {
    const nowUs = this.#clock.nowUs();
    if (nowUs - this.#tookUs > PAUSE_US) this.#pace.restart();
    this.#tookUs = nowUs;
    this.#pace.sent(lengthBytes);
    this.#limit.take(lengthBytes);
    const sinceUs = nowUs - this.#probedUs;
    if (sinceUs < PROBE_US || (this.#probing && sinceUs < LOST_US)) return;
    this.#probing = true;
    this.#probedUs = nowUs;
    this.#probe();
  }

  /** A ping was answered. */
  measured(rttUs: number): void {
    if (!this.#probing) return;
    this.#probing = false;
    if (!this.#pace.measured(rttUs, this.#clock.nowUs())) return;
    this.#limit.setRate(this.#pace.bytesPerSecond);
    this.#onOpen();
  }
}
