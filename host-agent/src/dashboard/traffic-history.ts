/**
 * The last minutes of this host's traffic, one sample a second: what the dashboard draws over time.
 *
 * Samples are differences of counters that only grow, so a disk that is removed shows as nothing and never as less.
 */
import type { Clock, Timer } from '@diskswarm/core';
import type { Agent } from '../agent/agent.ts';

/** Five minutes. */
const MAX_SAMPLES = 300;
const EVERY_MS = 1000;

/** Sums since the agent started. */
interface Totals {
  readonly faults: number;
  readonly waitedUs: number;
  readonly faultBytes: number;
  readonly backgroundBytes: number;
  readonly servedBytes: number;
}

/** What happened in about a second. */
export interface TrafficSample {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Reads of guests whose wait for another host ended. */
  readonly faults: number;
  /** Their mean wait; 0 without any. */
  readonly waitMs: number;
  readonly faultBytesPerSecond: number;
  readonly backgroundBytesPerSecond: number;
  readonly servedBytesPerSecond: number;
}

export class TrafficHistory {
  readonly #clock: Clock;
  readonly #totals: () => Totals;
  #samples: TrafficSample[] = [];
  #last: { readonly atUs: number; readonly totals: Totals } | null = null;
  #timer: Timer | null = null;
  #onSample: () => void = () => {};

  constructor(clock: Clock, totals: () => Totals) {
    this.#clock = clock;
    this.#totals = totals;
  }

  /** Oldest first. */
  get samples(): readonly TrafficSample[] {
    return this.#samples;
  }

  /** Samples once a second from now on, and calls `onSample` each time. */
  start(onSample: () => void): void {
    this.#onSample = onSample;
    this.#last = { atUs: this.#clock.nowUs(), totals: this.#totals() };
    this.#wait();
  }

  /** Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(): void {
    this.#timer = this.#clock.setTimer(EVERY_MS, () => this.#sample(), { background: true });
  }

  #sample(): void {
    const now = { atUs: this.#clock.nowUs(), totals: this.#totals() };
    const last = this.#last ?? now;
    this.#last = now;
    const seconds = Math.max(1e-3, (now.atUs - last.atUs) / 1e6);
    const grown = (key: keyof Totals): number => Math.max(0, now.totals[key] - last.totals[key]);
    const faults = grown('faults');
    const sample = {
      atMs: this.#clock.wallMs(),
      faults,
      waitMs: faults === 0 ? 0 : grown('waitedUs') / faults / 1000,
      faultBytesPerSecond: grown('faultBytes') / seconds,
      backgroundBytesPerSecond: grown('backgroundBytes') / seconds,
      servedBytesPerSecond: grown('servedBytes') / seconds,
    };
    this.#samples = [...this.#samples, sample].slice(-MAX_SAMPLES);
    this.#wait();
    this.#onSample();
  }
}

/** Of all disks of an agent. */
export function totalsOf(agent: Agent): Totals {
  const statistics = agent.disks.map((disk) => disk.statistics);
  const sum = (of: (each: (typeof statistics)[number]) => number): number =>
    statistics.reduce((total, each) => total + of(each), 0);
  return {
    faults: sum(({ waits }) => waits.count),
    waitedUs: sum(({ waits }) => waits.sumUs),
    faultBytes: sum(({ faultBytes }) => faultBytes),
    backgroundBytes: sum(({ backgroundBytes }) => backgroundBytes),
    servedBytes: sum(({ servedChunks }) => servedChunks.bytes),
  };
}
