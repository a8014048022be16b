/** The disk's first content: pieces of noise between holes, the same for the import and for the model. */
import type { SeededRandom } from '@diskswarm/sim';

/** Holes and data alternate in units of this size. */
const UNIT_BYTES = 8 * 1024;

export class Image {
  readonly extents: readonly { readonly offsetBytes: number; readonly lengthBytes: number }[];
  readonly #content: Uint8Array;

  constructor(sizeBytes: number, random: SeededRandom) {
    this.#content = new Uint8Array(sizeBytes);
    const extents: { offsetBytes: number; lengthBytes: number }[] = [];
    for (let offsetBytes = 0; offsetBytes < sizeBytes; ) {
      const lengthBytes = Math.min(random.between(1, 12) * UNIT_BYTES, sizeBytes - offsetBytes);
      if (random.chance(0.6)) {
        this.#content.set(random.bytes(lengthBytes), offsetBytes);
        extents.push({ offsetBytes, lengthBytes });
      }
      offsetBytes += lengthBytes;
    }
    this.extents = extents;
  }

  /** A copy of a range. */
  bytes(offsetBytes: number, lengthBytes: number): Uint8Array {
    return this.#content.slice(offsetBytes, offsetBytes + lengthBytes);
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    into.set(this.#content.subarray(offsetBytes, offsetBytes + into.length));
  }
}
