/**
 * One link, three kinds of traffic: what this host sends to one other as faults, as memory, and in the background.
 *
 * Faults never wait. While memory waits to be sent, the background gets a fixed part of what leaves, counted in bytes that left, so that the split
 * follows the link whatever its rate; otherwise it may have everything. A limit in bytes per second holds for all of it together; faults are booked
 * and not held. Apart from memory the background gives in to whoever else fills the way (upload-pacing.ts).
 */
import type { Clock } from '@diskswarm/core';
import { SHARE_SLACK_BYTES } from './limits.ts';
import { TokenBucket } from './token-bucket.ts';
import { UploadPacing } from './upload-pacing.ts';

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

/** What the host lends a link. */
export interface LinkOwner {
  readonly clock: Clock;
  readonly uploadLimit: TokenBucket;
  readonly uploads: { pump(): void };
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
  readonly #pacing: UploadPacing;
  #split = false;
  #backgroundPart = UNSPLIT.backgroundPart;
  /** Background bytes beyond its part, since memory began to wait. */
  #aheadBytes = 0;
  #memoryAtUs: number;

  /**
   * `uploadLimit`: the host's own limit, which memory obeys too; `uploads` is told when the background may go on. `memoryWaits`: memory is
   * there to be sent now. `probe`: measures the round trip, for `measured`.
   */
  constructor(owner: LinkOwner, memoryWaits: () => boolean, probe: () => void) {
    const { clock, uploadLimit: upload } = owner;
    const onOpen = (): void => owner.uploads.pump();
    this.#clock = clock;
    this.#pacing = new UploadPacing(clock, probe, onOpen);
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
    const paced = (): Gate | null => this.#paced;
    this.background = {
      get open() {
        return limit.open && heldMs() === 0 && (paced()?.open ?? true);
      },
      get waitMs() {
        return Math.max(limit.waitMs, heldMs(), paced()?.waitMs ?? 0);
      },
      take: (lengthBytes) => this.#backgroundLeft(lengthBytes),
    };
  }

  /** Changes limit and split at once; null for neither. */
  split(split: LinkSplit | null): void {
    const { bytesPerSecond, backgroundPart } = split ?? UNSPLIT;
    this.#limit.setRate(bytesPerSecond);
    this.#backgroundPart = backgroundPart;
    this.#split = split !== null;
    this.#aheadBytes = 0;
    this.#onOpen();
  }

  /** A round trip on the link was measured. */
  measured(rttUs: number): void {
    this.#paced?.measured(rttUs);
  }

  /** What holds the background back for others' sake; null while the link is split. */
  get #paced(): UploadPacing | null {
    return this.#split || this.#memoryWaits() ? null : this.#pacing;
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
    this.#paced?.take(lengthBytes);
    this.#aheadBytes = this.#memoryWaits() ? Math.max(0, this.#aheadBytes + lengthBytes) : 0;
  }
}
