/**
 * One link, three kinds of traffic: what this host sends to one other as faults, as memory, and in the background.
 *
 * Faults never wait. While memory waits to be sent, the background gets a fixed part of what leaves, counted in bytes that left, so that the split
 * follows the link whatever its rate; otherwise it may have everything. A limit in bytes per second holds for all of it together; faults are booked
 * and not held.
 */
import type { Clock } from '@diskswarm/core';
import { SHARE_SLACK_BYTES } from './limits.ts';
import { TokenBucket } from './token-bucket.ts';

/** Memory of which nothing has left for so long waits for the other side, and not for the link. */
const STILL_MS = 500;

/** Asked before something is sent, and told what is. */
export interface Gate {
  /** True when something may pass now. */
  readonly open: boolean;
  /** Milliseconds until it is worth asking again; 0 when open. */
  readonly waitMs: number;
  /** Books what passes. */
  take(lengthBytes: number): void;
}

export interface LinkSplit {
  /** Of everything that is sent to the host; null for no limit. */
  readonly bytesPerSecond: number | null;
  /** Part of the link that the background gets while memory waits, below 1; 0: nothing, waiting or not. */
  readonly backgroundPart: number;
}

const UNSPLIT: LinkSplit = { bytesPerSecond: null, backgroundPart: 0.5 };

export class LinkShare {
  readonly faults: Gate;
  readonly memory: Gate;
  readonly background: Gate;
  readonly #clock: Clock;
  readonly #limit: TokenBucket;
  readonly #upload: TokenBucket;
  readonly #memoryWaits: () => boolean;
  readonly #onOpen: () => void;
  #backgroundPart = UNSPLIT.backgroundPart;
  /** Background bytes beyond its part, since memory began to wait. */
  #aheadBytes = 0;
  #memoryAtUs: number;

  /** `upload`: the host's own limit, which memory obeys too. `memoryWaits`: memory is there to be sent now. `onOpen`: the background may go on. */
  constructor(clock: Clock, upload: TokenBucket, memoryWaits: () => boolean, onOpen: () => void) {
    this.#clock = clock;
    this.#upload = upload;
    this.#limit = new TokenBucket(clock, null);
    this.#memoryWaits = memoryWaits;
    this.#onOpen = onOpen;
    this.#memoryAtUs = clock.nowUs();
    const limit = this.#limit;
    this.faults = { open: true, waitMs: 0, take: (lengthBytes) => limit.take(lengthBytes) };
    this.memory = {
      get open() {
        return limit.open && upload.open;
      },
      get waitMs() {
        return Math.max(limit.waitMs, upload.waitMs);
      },
      take: (lengthBytes) => this.#memoryLeft(lengthBytes),
    };
    const heldMs = (): number => this.#heldMs();
    this.background = {
      get open() {
        return limit.open && heldMs() === 0;
      },
      get waitMs() {
        return Math.max(limit.waitMs, heldMs());
      },
      take: (lengthBytes) => this.#backgroundLeft(lengthBytes),
    };
  }

  /** Changes limit and split at once; null for neither. */
  split(split: LinkSplit | null): void {
    const { bytesPerSecond, backgroundPart } = split ?? UNSPLIT;
    this.#limit.setRate(bytesPerSecond);
    this.#backgroundPart = backgroundPart;
    this.#aheadBytes = 0;
    this.#onOpen();
  }

  #heldMs(): number {
    if (this.#backgroundPart === 0) return STILL_MS;
    if (this.#aheadBytes <= SHARE_SLACK_BYTES || !this.#memoryWaits()) return 0;
    return Math.max(0, Math.ceil(STILL_MS - (this.#clock.nowUs() - this.#memoryAtUs) / 1000));
  }

  #memoryLeft(lengthBytes: number): void {
    this.#upload.take(lengthBytes);
    this.#limit.take(lengthBytes);
    this.#memoryAtUs = this.#clock.nowUs();
    const held = this.#aheadBytes > SHARE_SLACK_BYTES;
    const earned = (lengthBytes * this.#backgroundPart) / (1 - this.#backgroundPart);
    this.#aheadBytes = Math.max(0, this.#aheadBytes - earned);
    if (held && this.#aheadBytes <= SHARE_SLACK_BYTES) this.#onOpen();
  }

  #backgroundLeft(lengthBytes: number): void {
    this.#limit.take(lengthBytes);
    this.#aheadBytes = this.#memoryWaits() ? Math.max(0, this.#aheadBytes + lengthBytes) : 0;
  }
}
