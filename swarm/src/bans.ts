/** Hosts that are kept away for a while. Bounded: the ban that ends first makes room. */
import type { Clock, ErrorCode, HostId } from '@diskswarm/core';
import { MAX_BANS } from './limits.ts';

/** Codes that only a peer that breaks rules can cause. */
export const MISBEHAVIOUR: readonly ErrorCode[] = [
  'PEER_MISBEHAVED',
  'PROTOCOL_ERROR',
  'FORMAT_INVALID',
  'INVALID_ID',
  'CHUNK_CORRUPT',
  'SIGNATURE_INVALID',
];

/** A ban as it is shown. */
export interface Ban {
  readonly host: HostId;
  readonly reason: string;
  readonly remainingMs: number;
}

export class Bans {
  readonly #clock: Clock;
  readonly #bans = new Map<HostId, { readonly untilUs: number; readonly reason: string }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bans until `durationMs` from now; a longer ban that exists stays. */
  add(host: HostId, durationMs: number, reason: string): void {
    const untilUs = this.#clock.nowUs() + durationMs * 1000;
    const known = this.#bans.get(host);
    if (known !== undefined && known.untilUs >= untilUs) return;
    this.#bans.set(host, { untilUs, reason });
    if (this.#bans.size <= MAX_BANS) return;
    const [first] = [...this.#bans].toSorted(([, left], [, right]) => left.untilUs - right.untilUs);
    this.#bans.delete(first![0]);
  }

  /** Lifts a ban; false when there is none. */
  remove(host: HostId): boolean {
    const known = this.has(host);
    this.#bans.delete(host);
    return known;
  }

  has(host: HostId): boolean {
    const ban = this.#bans.get(host);
    if (ban === undefined) return false;
    if (ban.untilUs > this.#clock.nowUs()) return true;
    this.#bans.delete(host);
    return false;
  }

  list(): Ban[] {
    const nowUs = this.#clock.nowUs();
    return [...this.#bans]
      .filter(([, { untilUs }]) => untilUs > nowUs)
      .map(([host, { untilUs, reason }]) => ({ host, reason, remainingMs: Math.ceil((untilUs - nowUs) / 1000) }));
  }
}
