/**
 * What a disk may hold, sector by sector: the value of the last write, and every older one that a crash may bring back.
 *
 * While writes are under way, and after a crash, a sector may hold any value since the last flush; a flush leaves one.
 */
const SECTOR = 512;

export class ModelDisk {
  readonly content: Uint8Array;
  /** Values since the last flush that are not the present one, oldest first. */
  readonly #older = new Map<number, Uint8Array[]>();
  /** Sectors of operations that were not acknowledged yet, with how many. */
  readonly #underWay = new Map<number, number>();

  constructor(content: Uint8Array) {
    this.content = content.slice();
  }

  /** An operation begins; the function returned says that it was acknowledged. */
  write(offset: number, data: Uint8Array): () => void {
    if (data.length === 0) return () => {};
    const first = Math.floor(offset / SECTOR);
    const last = Math.floor((offset + data.length - 1) / SECTOR);
    for (let sector = first; sector <= last; sector++) {
      const values = this.#older.get(sector) ?? [];
      values.push(this.#sector(sector).slice());
      this.#older.set(sector, values);
      this.#underWay.set(sector, (this.#underWay.get(sector) ?? 0) + 1);
    }
    this.content.set(data, offset);
    return () => {
      for (let sector = first; sector <= last; sector++) {
        const count = this.#underWay.get(sector)! - 1;
        if (count === 0) this.#underWay.delete(sector);
        else this.#underWay.set(sector, count);
      }
    };
  }

  /** Marks what a flush that starts now will have made durable; call the result when it is done. */
  beginFlush(): () => void {
    // What is not acknowledged yet may come after the flush.
    const acknowledged = [...this.#older].filter(([sector]) => !this.#underWay.has(sector));
    const covered = new Map(acknowledged.map(([sector, values]) => [sector, values.length]));
    return () => {
      for (const [sector, count] of covered) {
        const values = this.#older.get(sector);
        values?.splice(0, count);
        if (values?.length === 0) this.#older.delete(sector);
      }
    };
  }

  /** Sectors whose value is open at this moment. */
  openSectors(): Set<number> {
    return new Set(this.#underWay.keys());
  }

  /** The first offset of `found` (which starts at a sector) that is not what it must be, or -1. `open` sectors may hold an older value. */
  firstWrong(offset: number, found: Uint8Array, open: ReadonlySet<number> | 'all'): number {
    for (let at = 0; at < found.length; at += SECTOR) {
      const sector = (offset + at) / SECTOR;
      const bytes = found.subarray(at, at + SECTOR);
      if (Buffer.compare(bytes, this.#sector(sector)) === 0) continue;
      const mayBeOld = open === 'all' || open.has(sector) || this.#underWay.has(sector);
      if (!mayBeOld || !(this.#older.get(sector) ?? []).some((value) => Buffer.compare(value, bytes) === 0))
        return offset + at;
    }
    return -1;
  }

  /** After a crash: what is found is what counts. */
  adopt(found: Uint8Array): void {
    this.content.set(found);
    this.#older.clear();
    this.#underWay.clear();
  }

  #sector(sector: number): Uint8Array {
    return this.content.subarray(sector * SECTOR, (sector + 1) * SECTOR);
  }
}
