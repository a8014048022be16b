/**
 * State of every 4 KiB block of a disk in two bits, in tables that exist only where something was set.
 *
 * A table covers 64 MiB of disk and is a plain number while all its blocks agree, so that a discard of a whole disk costs
 * nothing. Leaves to others: what the states mean for data and journal. Invariant: the counts match the bits.
 */

/** States of a block. Both `data` and `warm` hold bytes in the layer's data file; `warm` ones were used lately and are surely cached. */
export const BLOCK = { unmapped: 0, data: 1, hole: 2, warm: 3 } as const;
export type BlockState = (typeof BLOCK)[keyof typeof BLOCK];
/** The states that are remembered across restarts. */
export type MappedState = typeof BLOCK.data | typeof BLOCK.hole;

export interface BlockRun {
  readonly first: number;
  readonly count: number;
  readonly state: MappedState;
}

const TABLE_BLOCKS = 16384;
const TABLE_MASK = TABLE_BLOCKS - 1;
const WORDS = TABLE_BLOCKS / 16;
const LOW_BITS = 0x55555555;

export class BlockMap {
  /** Blocks of the disk. */
  readonly blocks: number;
  readonly #tables: (Uint32Array | BlockState)[];
  #dataBlocks = 0;
  #holeBlocks = 0;

  constructor(blocks: number) {
    if (!Number.isSafeInteger(blocks) || blocks < 1) throw new RangeError(`${blocks} blocks`);
    this.blocks = blocks;
    this.#tables = new Array<Uint32Array | BlockState>(Math.ceil(blocks / TABLE_BLOCKS)).fill(BLOCK.unmapped);
  }

  /** Blocks in state `data` or `warm`. */
  get dataBlocks(): number {
    return this.#dataBlocks;
  }

  get holeBlocks(): number {
    return this.#holeBlocks;
  }

  get(block: number): BlockState {
    const table = this.#tables[Math.floor(block / TABLE_BLOCKS)]!;
    if (typeof table === 'number') return table;
    const index = block & TABLE_MASK;
    return ((table[index >>> 4]! >>> ((index & 15) << 1)) & 3) as BlockState;
  }

  set(first: number, count: number, state: BlockState): void {
    const end = first + count;
    if (first < 0 || end > this.blocks) throw new RangeError(`blocks ${first} to ${end} of ${this.blocks}`);
    for (let block = first; block < end; ) {
      const tableIndex = Math.floor(block / TABLE_BLOCKS);
      const from = block & TABLE_MASK;
      const to = Math.min(TABLE_BLOCKS, from + end - block);
      this.#setInTable(tableIndex, from, to, state);
      block += to - from;
    }
  }

  /** End of the run that starts at `block` and is all in `state`: `block` itself when that differs, at most `limit`. */
  runEnd(block: number, limit: number, state: BlockState): number {
    const pattern = Math.imul(state, LOW_BITS);
    while (block < limit) {
      const table = this.#tables[Math.floor(block / TABLE_BLOCKS)]!;
      const index = block & TABLE_MASK;
      if (typeof table === 'number') {
        if (table !== state) return block;
        block += TABLE_BLOCKS - index;
        continue;
      }
      const differing = (table[index >>> 4]! ^ pattern) >>> ((index & 15) << 1);
      if (differing === 0) block += 16 - (index & 15);
      else return Math.min(limit, block + ((31 - Math.clz32(differing & -differing)) >>> 1));
    }
    return limit;
  }

  /** First block from `block` on that is not unmapped, or `limit`. */
  nextMapped(block: number, limit: number): number {
    return this.runEnd(block, limit, BLOCK.unmapped);
  }

  /** Blocks of the range that hold no data in this layer yet. */
  withoutData(first: number, count: number): number {
    let missing = 0;
    const end = first + count;
    for (let block = first; block < end; ) {
      const state = this.get(block);
      const next = this.runEnd(block, end, state);
      if ((state & 1) === 0) missing += next - block;
      block = next;
    }
    return missing;
  }

  /** All runs of data and holes in order; `warm` counts as data. The map may not change meanwhile. */
  *runs(): Generator<BlockRun> {
    for (
      let block = this.nextMapped(0, this.blocks);
      block < this.blocks;
      block = this.nextMapped(block, this.blocks)
    ) {
      const first = block;
      const state = this.get(block) === BLOCK.hole ? BLOCK.hole : BLOCK.data;
      for (
        let next = this.get(block);
        block < this.blocks && sameKind(next, state);
        next = block < this.blocks ? this.get(block) : BLOCK.unmapped
      ) {
        block = this.runEnd(block, this.blocks, next);
      }
      yield { first, count: block - first, state };
    }
  }

  #setInTable(tableIndex: number, from: number, to: number, state: BlockState): void {
    let table = this.#tables[tableIndex]!;
    if (typeof table === 'number') {
      if (table === state) return;
      if (from === 0 && to === TABLE_BLOCKS) {
        this.#count(table, -TABLE_BLOCKS);
        this.#count(state, TABLE_BLOCKS);
        this.#tables[tableIndex] = state;
        return;
      }
      table = new Uint32Array(WORDS).fill(Math.imul(table, LOW_BITS) >>> 0);
      this.#tables[tableIndex] = table;
    }
    const pattern = Math.imul(state, LOW_BITS);
    for (let index = from; index < to; ) {
      const bit = (index & 15) << 1;
      const taken = Math.min(16 - (index & 15), to - index);
      const mask = taken === 16 ? -1 : ((1 << (taken << 1)) - 1) << bit;
      const before = table[index >>> 4]!;
      const after = (before & ~mask) | (pattern & mask);
      if (after !== (before | 0)) {
        table[index >>> 4] = after;
        this.#dataBlocks += bitCount(after & LOW_BITS) - bitCount(before & LOW_BITS);
        this.#holeBlocks += bitCount((after >>> 1) & ~after & LOW_BITS) - bitCount((before >>> 1) & ~before & LOW_BITS);
      }
      index += taken;
    }
    // A whole table that was set at once is uniform again.
    if (from === 0 && to === TABLE_BLOCKS) this.#tables[tableIndex] = state;
  }

  #count(state: BlockState, by: number): void {
    if (state === BLOCK.hole) this.#holeBlocks += by;
    else if (state !== BLOCK.unmapped) this.#dataBlocks += by;
  }
}

function sameKind(state: BlockState, kind: MappedState): boolean {
  return kind === BLOCK.hole ? state === BLOCK.hole : (state & 1) === 1;
}

function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & LOW_BITS);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
