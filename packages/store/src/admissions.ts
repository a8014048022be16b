/**
 * Which disks a chunk is admitted to, as a number: sets of disks are interned, an entry of the index holds its set's number.
 *
 * Set 0 is empty: a chunk with it is dead. Sets and disks are only ever added while a store is open; what is no longer used
 * is left out when the next start reads the checkpoint.
 */
import { type DiskId, DiskswarmError, idToBytes } from '@diskswarm/core';

/** The empty set. */
export const NOBODY = 0;
/** Most disks one store can tell apart. */
export const MAX_DISKS = 65535;

export class Admissions {
  readonly #disks: DiskId[] = [];
  readonly #diskBytes: Uint8Array[] = [];
  readonly #numbers = new Map<DiskId, number>();
  readonly #sets: (readonly number[])[] = [[]];
  readonly #setNumbers = new Map<string, number>([['', NOBODY]]);
  /** Results of `with` and `without`, by set and disk. */
  readonly #joined = new Map<number, number>();
  readonly #parted = new Map<number, number>();

  /** The disk's number, given now if it is new. LIMIT_EXCEEDED beyond 65,535 disks. */
  numberOf(disk: DiskId): number {
    const known = this.#numbers.get(disk);
    if (known !== undefined) return known;
    if (this.#disks.length >= MAX_DISKS)
      throw new DiskswarmError('LIMIT_EXCEEDED', `a store knows at most ${MAX_DISKS} disks`);
    const number = this.#disks.length;
    this.#disks.push(disk);
    this.#diskBytes.push(idToBytes(disk));
    this.#numbers.set(disk, number);
    return number;
  }

  /** The disk's number, or -1 when no chunk was ever admitted to it. */
  find(disk: DiskId): number {
    return this.#numbers.get(disk) ?? -1;
  }

  diskAt(number: number): DiskId {
    return this.#disks[number]!;
  }

  /** The disk's 32 bytes; not to be changed. */
  diskBytesAt(number: number): Uint8Array {
    return this.#diskBytes[number]!;
  }

  get disks(): readonly DiskId[] {
    return this.#disks;
  }

  get sets(): readonly (readonly number[])[] {
    return this.#sets;
  }

  /** Disk numbers of a set, ascending. */
  members(set: number): readonly number[] {
    return this.#sets[set]!;
  }

  contains(set: number, disk: number): boolean {
    return this.#sets[set]!.includes(disk);
  }

  /** The set that also has `disk`. */
  with(set: number, disk: number): number {
    const key = set * (MAX_DISKS + 1) + disk;
    let result = this.#joined.get(key);
    if (result === undefined) {
      const members = this.#sets[set]!;
      result = members.includes(disk) ? set : this.#intern([...members, disk].sort((a, b) => a - b));
      this.#joined.set(key, result);
    }
    return result;
  }

  /** The set that lacks `disk`. */
  without(set: number, disk: number): number {
    const key = set * (MAX_DISKS + 1) + disk;
    let result = this.#parted.get(key);
    if (result === undefined) {
      const members = this.#sets[set]!;
      result = members.includes(disk) ? this.#intern(members.filter((member) => member !== disk)) : set;
      this.#parted.set(key, result);
    }
    return result;
  }

  #intern(members: readonly number[]): number {
    const name = members.join();
    let number = this.#setNumbers.get(name);
    if (number === undefined) {
      number = this.#sets.length;
      this.#sets.push(members);
      this.#setNumbers.set(name, number);
    }
    return number;
  }
}
