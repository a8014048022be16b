/**
 * Peers that sent wrong bytes: not asked before their ban ends. Each further offence doubles it, up to a day.
 *
 * A chunk comes whole from one peer, so blame is exact. The offences of a peer are remembered after its ban ended, until
 * the table is full: then the one whose ban ends (or ended) first makes room.
 */
import type { HostId } from '@diskswarm/core';
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';

export class Bans {
  readonly #bans = new Map<HostId, { untilUs: number; offences: number }>();

  /** Bans a peer; returns the time its ban ends. */
  add(peer: HostId, nowUs: number): number {
    const offences = (this.#bans.get(peer)?.offences ?? 0) + 1;
    const untilUs = nowUs + Math.min(PATIENCE.banMaxUs, PATIENCE.banUs * 2 ** (offences - 1));
    this.#bans.delete(peer);
    if (this.#bans.size >= SCHEDULER_LIMITS.bans) this.#makeRoom();
    this.#bans.set(peer, { untilUs, offences });
    return untilUs;
  }

  /** Forgives a peer. */
  remove(peer: HostId): void {
    this.#bans.delete(peer);
  }

  /** When the peer's ban ends; 0 when it has none. */
  untilUs(peer: HostId): number {
    return this.#bans.get(peer)?.untilUs ?? 0;
  }

  #makeRoom(): void {
    let first: HostId | undefined;
    let firstUs = Number.POSITIVE_INFINITY;
    for (const [peer, { untilUs }] of this.#bans) {
      if (untilUs < firstUs) [first, firstUs] = [peer, untilUs];
    }
    if (first !== undefined) this.#bans.delete(first);
  }
}
