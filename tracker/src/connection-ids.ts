/**
 * Connection ids (BEP 15): proof that who asks by datagram also receives at the address it names, without remembering anybody.
 *
 * An id is a keyed hash of address and minute, with the minute's last bits in front so that one hash decides. It holds for
 * its minute and the two after it: a client may use one for a minute, a tracker should take it for two.
 */
import type { Clock, Random } from '@diskswarm/core';
import { SipHash } from './siphash.ts';

const MINUTE_US = 60e6;
const LIFE_MINUTES = 2;

/** An id as two halves. */
export interface ConnectionId {
  readonly high: number;
  readonly low: number;
}

export class ConnectionIds {
  readonly #clock: Clock;
  readonly #hash: SipHash;
  readonly #input = new Uint8Array(21);

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#hash = new SipHash(random.bytes(16));
  }

  /** For an address of 4 or 16 bytes. */
  issue(address: Uint8Array): ConnectionId {
    return this.#make(address, this.#minute());
  }

  /** Whether the id was issued to this address lately. */
  holds(address: Uint8Array, high: number, low: number): boolean {
    const now = this.#minute();
    const age = ((now & 0xff) - (high >>> 24)) & 0xff;
    if (age > LIFE_MINUTES) return false;
    const expected = this.#make(address, now - age);
    return expected.high === high && expected.low === low;
  }

  #minute(): number {
    return Math.floor(this.#clock.nowUs() / MINUTE_US);
  }

  #make(address: Uint8Array, minute: number): ConnectionId {
    const input = this.#input;
    input.fill(0);
    input.set(address);
    input[16] = address.length;
    for (let byte = 0; byte < 4; byte++) input[17 + byte] = (minute >>> (8 * byte)) & 0xff;
    this.#hash.hash(input);
    return { high: ((minute << 24) | (this.#hash.high >>> 8)) >>> 0, low: this.#hash.low };
  }
}
