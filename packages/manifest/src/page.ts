/**
 * One page: 256 ids of 32 bytes and nothing else. Named by BLAKE3 of its bytes, the all-zero page by the zero id.
 */
import { blake3, type ChunkId, ID_BYTES, PAGE_BYTES, type PageId, toHex, ZERO_ID } from '@diskswarm/core';

/** The all-zero page. Shared: never write to it. */
export const ZERO_PAGE: Uint8Array = new Uint8Array(PAGE_BYTES);

const ZERO_SLOT = ZERO_PAGE.subarray(0, ID_BYTES);
const SCRATCH = Buffer.alloc(ID_BYTES);

/** The id of a page of exactly 8 KiB. */
export function pageIdOf(page: Uint8Array): PageId {
  if (page.length !== PAGE_BYTES) throw new RangeError(`a page has ${PAGE_BYTES} bytes, not ${page.length}`);
  return Buffer.compare(page, ZERO_PAGE) === 0 ? ZERO_ID : (toHex(blake3(page)) as PageId);
}

/** The id in a slot from 0 to 255. */
export function idAt(page: Uint8Array, slot: number): ChunkId {
  const bytes = slotOf(page, slot);
  return Buffer.compare(bytes, ZERO_SLOT) === 0 ? ZERO_ID : (toHex(bytes) as ChunkId);
}

/** Writes an id into a slot. */
export function setIdAt(page: Uint8Array, slot: number, id: ChunkId): void {
  SCRATCH.write(id, 'hex');
  page.set(SCRATCH, slot * ID_BYTES);
}

/** True when both pages hold the same id in a slot. */
export function sameIdAt(a: Uint8Array, b: Uint8Array, slot: number): boolean {
  return Buffer.compare(slotOf(a, slot), slotOf(b, slot)) === 0;
}

function slotOf(page: Uint8Array, slot: number): Uint8Array {
  return page.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES);
}
