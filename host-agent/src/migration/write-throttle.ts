/**
 * Slows the guest of a machine that leaves when what it writes outruns what is sent: looks, asks the policy, tells the attachments, keeps the record.
 *
 * Leaves to others: when and how much (packages/migration), the delay itself (attachment/write-pace.ts), which ends by itself should this object fail to.
 * While the guest stands still nothing is delayed, because QEMU waits for its writes then.
 */
import type { Clock, Timer } from '@diskswarm/core';
import {
  adjustThrottle,
  applyBacklog,
  type Backlog,
  initialBacklog,
  initialThrottle,
  isDrained,
  type MigrationMessage,
  observe,
  type Throttle,
  type ThrottlePolicy,
} from '@diskswarm/migration';
import type { Attachment } from '../attachment/attachment.ts';

const LOOK_MS = 250;
/** Levels that the record keeps; of later ones the last. */
const MAX_LEVELS = 64;
/** A delay that changed by less is no new level. */
const LEVEL_FACTOR = 1.5;

/** How the guest was slowed, for people. Times since the migration began. */
export interface ThrottleRecord {
  readonly policy: ThrottlePolicy;
  /** null when it never was. */
  readonly startedMs: number | null;
  /** Of each write, now. */
  readonly delayUs: number;
  readonly maxDelayUs: number;
  readonly levels: readonly { readonly atMs: number; readonly delayUs: number }[];
}

export interface WriteThrottleOptions {
  readonly clock: Clock;
  readonly policy: ThrottlePolicy;
  /** The machine's exports that are open now. */
  readonly attachments: () => readonly Attachment[];
  /** The delay rose by so much that rounds should go on until it shows. */
  readonly onSlowed: () => void;
  /** A round is whole: what waits now over what it sent, or null when that cannot be told. */
  readonly onWhole: (growth: number | null) => void;
}

export class WriteThrottle {
  readonly #options: WriteThrottleOptions;
  readonly #startedUs: number;
  #throttle: Throttle;
  #backlog: Backlog | null = null;
  /** What each attachment said last; one that was opened again counts anew. */
  readonly #counted = new WeakMap<Attachment, number>();
  #writes = 0;
  #dirtyBytes = 0;
  /** Both when the seal began that is under way. */
  #sealing = { writes: 0, dirtyBytes: 0 };
  #timer: Timer | null = null;
  #still = false;
  #ended = false;
  #levels: { atMs: number; delayUs: number }[] = [];
  #maxDelayUs = 0;

  constructor(options: WriteThrottleOptions) {
    this.#options = options;
    this.#startedUs = options.clock.nowUs();
    this.#throttle = initialThrottle(options.policy);
  }

  get record(): ThrottleRecord {
    const { policy } = this.#options;
    const levels = [...this.#levels];
    return {
      policy,
      startedMs: levels[0]?.atMs ?? null,
      delayUs: this.#delayUs,
      maxDelayUs: this.#maxDelayUs,
      levels,
    };
  }

  /** A round is about to be sealed. */
  async sealing(): Promise<void> {
    if (this.#isIdle) return;
    await this.#look();
    this.#sealing = { writes: this.#writes, dirtyBytes: this.#dirtyBytes };
  }

  /** The round is sealed. The first one begins it all. */
  sealed(round: number): void {
    if (this.#isIdle) return;
    this.#backlog ??= initialBacklog(this.#sealing.writes, this.#options.clock.nowUs());
    this.#backlog = applyBacklog(this.#backlog, { kind: 'sealed', round, ...this.#sealing });
    if (this.#timer === null) this.#arm();
  }

  /** What the destination says; before the migration itself hears it, so that a round that is whole is judged first. */
  heard(message: MigrationMessage): void {
    if (this.#isIdle || this.#backlog === null || message.kind !== 'progress' || !message.known) return;
    const { round, missingBytes } = message;
    const before = isDrained(this.#backlog);
    const nowUs = this.#options.clock.nowUs();
    this.#backlog = applyBacklog(this.#backlog, { kind: 'missing', round, missingBytes, nowUs });
    if (!isDrained(this.#backlog) || before) return;
    this.#options.onWhole(observe(this.#backlog).roundGrowth);
    this.#adjust();
  }

  /** The guest was stopped, or goes on. */
  setStill(still: boolean): void {
    this.#still = still;
    if (still && this.#throttle.delayUs > 0) void this.#tell();
  }

  /** The guest writes as fast as it can again, and is looked at no more. Idempotent. */
  end(): void {
    if (this.#ended) return;
    const slowed = this.#throttle.delayUs > 0;
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = null;
    if (!slowed) return;
    this.#note(0);
    void this.#tell();
  }

  get #isIdle(): boolean {
    return this.#ended || this.#options.policy === 'off';
  }

  get #delayUs(): number {
    return this.#ended || this.#still ? 0 : Math.round(this.#throttle.delayUs);
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(LOOK_MS, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    await this.#look();
    if (this.#ended) return;
    // A round that is whole was judged when it became so; what is dirty meanwhile may be in a seal already.
    if (this.#backlog !== null && !isDrained(this.#backlog)) this.#adjust();
    this.#arm();
  }

  /** Counts, and renews the delay on the way. */
  async #look(): Promise<void> {
    const loads = await this.#tell();
    if (this.#ended) return;
    this.#dirtyBytes = 0;
    for (const { attachment, load } of loads) {
      this.#writes += Math.max(0, load.writes - (this.#counted.get(attachment) ?? load.writes));
      this.#counted.set(attachment, load.writes);
      this.#dirtyBytes += load.dirtyBytes;
    }
    if (this.#backlog === null) return;
    const nowUs = this.#options.clock.nowUs();
    const written = { kind: 'written', writes: this.#writes, dirtyBytes: this.#dirtyBytes, nowUs } as const;
    this.#backlog = applyBacklog(this.#backlog, written);
  }

  #adjust(): void {
    if (this.#backlog === null) return;
    const before = this.#throttle;
    this.#throttle = adjustThrottle(before, observe(this.#backlog));
    const { delayUs, raisedInRound, raisedToUs } = this.#throttle;
    if (delayUs === before.delayUs) return;
    this.#note(delayUs);
    void this.#tell();
    if (raisedInRound !== before.raisedInRound || raisedToUs !== before.raisedToUs) this.#options.onSlowed();
  }

  /** Those that answer: one whose thread has just ended is opened again without a delay. */
  async #tell() {
    const delayUs = this.#delayUs;
    const told = this.#options.attachments().map(async (attachment) => {
      const load = await attachment.slowWrites(delayUs).catch(() => null);
      return load === null ? [] : [{ attachment, load }];
    });
    return (await Promise.all(told)).flat();
  }

  #note(delayUs: number): void {
    const rounded = Math.round(delayUs);
    this.#maxDelayUs = Math.max(this.#maxDelayUs, rounded);
    const last = this.#levels.at(-1)?.delayUs ?? 0;
    const changed = rounded === 0 || last === 0 ? rounded !== last : isFar(rounded, last);
    if (!changed) return;
    const nowUs = this.#options.clock.nowUs();
    if (this.#levels.length === MAX_LEVELS) this.#levels.pop();
    this.#levels.push({ atMs: Math.round((nowUs - this.#startedUs) / 1000), delayUs: rounded });
  }
}

function isFar(a: number, b: number): boolean {
  return Math.max(a, b) >= Math.min(a, b) * LEVEL_FACTOR;
}
