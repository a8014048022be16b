/**
 * One connected host as far as one disk goes: its channel, what it claims, and what it was told.
 *
 * Claims are kept for the newest few generations; a new one inherits what was said of the one before it, except where they differ. Bounded: a
 * host whose claims are too scattered is not believed beyond the bound. What to tell and when is disk-peers.ts.
 */

import { Availability, type RangeSet } from '@diskswarm/bitfield';
import type { GenerationId, HostId } from '@diskswarm/core';
import type { DiskChannel } from '@diskswarm/swarm';

/** Runs kept of one peer's claims about one generation. */
const MAX_CLAIM_RUNS = 65_536;
/** Generations of one peer whose claims are kept. */
const MAX_CLAIMED_GENERATIONS = 8;

/** A connected host, as far as this disk goes. */
export class PeerLink {
  readonly channel: DiskChannel;
  readonly #claims = new Map<GenerationId, Availability>();
  /** Generations about which this host told everything; later ones need only what changed. */
  readonly told = new Set<GenerationId>();
  /** Epoch records that this host has, as far as we were told or told it: by `bytesKey`. */
  readonly epochs = new Set<string>();

  constructor(channel: DiskChannel) {
    this.channel = channel;
  }

  get host(): HostId {
    return this.channel.host;
  }

  /** What the host has of a generation; undefined while it said nothing. */
  claimsOf(generation: GenerationId): Availability | undefined {
    return this.#claims.get(generation);
  }

  learn(generation: GenerationId, has: RangeSet, lacks: RangeSet): void {
    const claims = this.#ensure(generation);
    claims.learnLacks(lacks);
    claims.learnHas(has);
  }

  /** What the host said of `parent` holds for `generation` too, except where they differ. */
  inherit(generation: GenerationId, parent: GenerationId, changed: RangeSet): void {
    const before = this.#claims.get(parent);
    if (before === undefined) return;
    const claims = before.clone();
    claims.forget(changed);
    const said = this.#claims.get(generation);
    if (said !== undefined) {
      claims.learnLacks(said.lacks);
      claims.learnHas(said.has);
    }
    this.#keep(generation, claims);
  }

  #ensure(generation: GenerationId): Availability {
    const known = this.#claims.get(generation);
    if (known !== undefined) return known;
    const fresh = new Availability({ maxRuns: MAX_CLAIM_RUNS });
    this.#keep(generation, fresh);
    return fresh;
  }

  #keep(generation: GenerationId, claims: Availability): void {
    this.#claims.delete(generation);
    this.#claims.set(generation, claims);
    for (const oldest of this.#claims.keys()) {
      if (this.#claims.size <= MAX_CLAIMED_GENERATIONS) return;
      this.#claims.delete(oldest);
    }
  }
}
