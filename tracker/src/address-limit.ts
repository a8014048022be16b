/**
 * How often one address may ask, without a memory of who asked: counters in two rows, keyed with a secret.
 *
 * An address counts in one cell of each row and is over the limit when both are. Strangers who share a cell would have to share
 * both to harm each other, and can be no party to it, since they cannot compute the cells. An IPv6 address counts as its /64,
 * which one household has. Memory is fixed; the counters begin anew each second.
 */
import type { Clock, Random } from '@diskswarm/core';
import { SipHash } from './siphash.ts';

const CELLS = 1 << 16;
const IPV6_PREFIX_BYTES = 8;

export class AddressLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #hash: SipHash;
  readonly #rows: readonly [Uint32Array, Uint32Array] = [new Uint32Array(CELLS), new Uint32Array(CELLS)];
  #second = 0;

  constructor(options: { clock: Clock; random: Random; perSecond: number }) {
    this.#clock = options.clock;
    this.#perSecond = options.perSecond;
    this.#hash = new SipHash(options.random.bytes(16));
  }

  /** Counts one question from `address` (4 or 16 bytes); false when it is one too many. */
  allows(address: Uint8Array): boolean {
    const second = Math.floor(this.#clock.nowUs() / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      for (const row of this.#rows) row.fill(0);
    }
    const low = this.#hash.hash(address, 0, Math.min(address.length, IPV6_PREFIX_BYTES));
    const first = low & (CELLS - 1);
    const other = this.#hash.high & (CELLS - 1);
    const [firsts, others] = this.#rows;
    firsts[first] = (firsts[first] as number) + 1;
    others[other] = (others[other] as number) + 1;
    return (firsts[first] as number) <= this.#perSecond || (others[other] as number) <= this.#perSecond;
  }
}
