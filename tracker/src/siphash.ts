/**
 * SipHash-2-4: a keyed 64-bit hash of short inputs that nobody without the key can predict or collide (Aumasson, Bernstein 2012).
 *
 * The tracker keys with it whatever strangers choose: connection ids, the tables of peers, the counters of addresses. Done in
 * 32-bit halves, because a call into a library per datagram would cost more than the hash.
 */
const KEY_BYTES = 16;

/** A hash under one key; the halves of the last result are `high` and `low`, unsigned. */
export class SipHash {
  readonly #k0l: number;
  readonly #k0h: number;
  readonly #k1l: number;
  readonly #k1h: number;
  high = 0;
  low = 0;

  /** `key` is 16 bytes, copied. */
  constructor(key: Uint8Array) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key of ${key.length} bytes`);
    const view = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
    this.#k0l = view.getInt32(0, true);
    this.#k0h = view.getInt32(4, true);
    this.#k1l = view.getInt32(8, true);
    this.#k1h = view.getInt32(12, true);
  }

  /** Hashes `length` bytes at `start`; returns `low`. */
  hash(bytes: Uint8Array, start = 0, length = bytes.length - start): number {
    let v0l = this.#k0l ^ 0x70736575;
    let v0h = this.#k0h ^ 0x736f6d65;
    let v1l = this.#k1l ^ 0x6e646f6d;
    let v1h = this.#k1h ^ 0x646f7261;
    let v2l = this.#k0l ^ 0x6e657261;
    let v2h = this.#k0h ^ 0x6c796765;
    let v3l = this.#k1l ^ 0x79746573;
    let v3h = this.#k1h ^ 0x74656462;
    const blocks = length >>> 3;
    for (let block = 0; block <= blocks + 2; block++) {
      let ml = 0;
      let mh = 0;
      if (block < blocks) {
        const at = start + block * 8;
        ml = word(bytes, at);
        mh = word(bytes, at + 4);
      } else if (block === blocks) {
        const at = start + block * 8;
        const left = length & 7;
        ml = left < 4 ? partOfWord(bytes, at, left) : word(bytes, at);
        mh = (left > 4 ? partOfWord(bytes, at + 4, left - 4) : 0) | (length << 24);
      } else if (block === blocks + 1) {
        // Four rounds that mix nothing in: two in this turn, two in the next.
        v2l ^= 0xff;
      }
      v3l ^= ml;
      v3h ^= mh;
      for (let round = 0; round < 2; round++) {
        let sum = (v0l >>> 0) + (v1l >>> 0);
        v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        let l = (v1l << 13) | (v1h >>> 19);
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = l ^ v0l;
        l = v0l;
        v0l = v0h;
        v0h = l;
        sum = (v2l >>> 0) + (v3l >>> 0);
        v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        l = (v3l << 16) | (v3h >>> 16);
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = l ^ v2l;
        sum = (v0l >>> 0) + (v3l >>> 0);
        v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        l = (v3l << 21) | (v3h >>> 11);
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = l ^ v0l;
        sum = (v2l >>> 0) + (v1l >>> 0);
        v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        l = (v1l << 17) | (v1h >>> 15);
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = l ^ v2l;
        l = v2l;
        v2l = v2h;
        v2h = l;
      }
      v0l ^= ml;
      v0h ^= mh;
    }
    this.low = (v0l ^ v1l ^ v2l ^ v3l) >>> 0;
    this.high = (v0h ^ v1h ^ v2h ^ v3h) >>> 0;
    return this.low;
  }
}

/** Four bytes, little-endian. */
function word(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
}

/** Up to three. */
function partOfWord(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value |= (bytes[at + index] as number) << (8 * index);
  return value;
}
