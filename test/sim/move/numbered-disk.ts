/**
 * What the guests of a machine wrote to one disk, and what a read may therefore show.
 *
 * The disk is cut into cells of one sector; each holds the number of the write that filled it, and numbers only rise. A cell shows at least the last
 * acknowledged number, after a power cut at least the last one that a flush covered, and never one that nobody wrote.
 */
import { SECTOR_BYTES } from '@diskswarm/core';

export class NumberedDisk {
  readonly cells: number;
  readonly #issued: Uint32Array;
  readonly #acknowledged: Uint32Array;
  readonly #durable: Uint32Array;

  /** Its first content: every fourth chunk is a hole, the others are all different. */
  constructor(sizeBytes: number, chunkSizeBytes: number) {
    this.cells = sizeBytes / SECTOR_BYTES;
    const numbers = Array.from({ length: this.cells }, (_, cell) => {
      const chunk = Math.floor((cell * SECTOR_BYTES) / chunkSizeBytes);
      return chunk % 4 === 3 ? 0 : chunk + 1;
    });
    this.#issued = Uint32Array.from(numbers);
    this.#acknowledged = Uint32Array.from(numbers);
    this.#durable = Uint32Array.from(numbers);
  }

  /** The content as it is now, for an import. */
  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    for (let at = 0; at < into.length; at += SECTOR_BYTES)
      into.set(numberedSectors(1, this.#issued[(offsetBytes + at) / SECTOR_BYTES]!), at);
  }

  get extents(): readonly { readonly offsetBytes: number; readonly lengthBytes: number }[] {
    return [{ offsetBytes: 0, lengthBytes: this.cells * SECTOR_BYTES }];
  }

  /** A write of `number` to cells is on its way; call the function returned when it was acknowledged. */
  beginWrite(first: number, count: number, number: number): () => void {
    for (let cell = first; cell < first + count; cell++) this.#issued[cell] = number;
    return () => {
      for (let cell = first; cell < first + count; cell++)
        this.#acknowledged[cell] = Math.max(this.#acknowledged[cell]!, number);
    };
  }

  /** A flush is on its way; call the function returned when it was answered. */
  beginFlush(): () => void {
    const covered = this.#acknowledged.slice();
    return () => {
      for (let cell = 0; cell < this.cells; cell++)
        this.#durable[cell] = Math.max(this.#durable[cell]!, covered[cell]!);
    };
  }

  /** The machine that holds the disk lost power. */
  powerCut(): void {
    this.#acknowledged.set(this.#durable);
  }

  /** Throws where a read shows what it may not. */
  check(first: number, bytes: Uint8Array): void {
    const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
      const cell = first + at / SECTOR_BYTES;
      const shown = numbers.getUint32(at);
      const [least, most] = [this.#acknowledged[cell]!, this.#issued[cell]!];
      if (shown < least || shown > most || numbers.getUint32(at + SECTOR_BYTES - 4) !== shown)
        throw new Error(`sector ${cell} shows write ${shown}: the guest was told of ${least}, and wrote ${most} last`);
      this.#acknowledged[cell] = shown;
    }
  }
}

/** The content of cells that a write of `number` fills. */
export function numberedSectors(count: number, number: number): Uint8Array {
  const bytes = new Uint8Array(count * SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, number);
  return bytes;
}
