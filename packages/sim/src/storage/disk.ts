/**
 * One machine's disk: content and names that outlive processes, faults to come, and the room that is left.
 *
 * Faults are planned from outside (`fail`, `capacityBytes`, `stopAfter`); the storage handle of the running process asks
 * `begin` before and `outcome` when each operation is done. Writes still under way when the process dies happen wholly,
 * partly or not at all.
 */
import { BLOCK_BYTES, DiskswarmError, SECTOR_BYTES } from '@diskswarm/core';
import type { SeededRandom } from '../seeded-random.ts';
import type { Inode } from './inode.ts';
import { Names } from './names.ts';

/** What faults and stops can name. */
export type DiskOperation =
  | 'open'
  | 'stat'
  | 'list'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'create'
  | 'rename'
  | 'remove'
  | 'folder'
  | 'sync-folder';

/** Operations that change the disk: `stopAfter` counts these. */
const CHANGES: ReadonlySet<DiskOperation> = new Set([
  'write',
  'sync',
  'truncate',
  'create',
  'rename',
  'remove',
  'folder',
  'sync-folder',
]);

/** An EIO to come. */
export interface FaultPlan {
  readonly operation: DiskOperation;
  /** Only paths that begin so. @default every path */
  readonly pathPrefix?: string;
  /** Matching operations that still succeed first. @default 0 */
  readonly after?: number;
  /** How many then fail. @default 1 */
  readonly times?: number;
}

/** Shortest time of an operation; the seed makes it up to four times as long. */
export interface DiskLatency {
  readonly readUs: number;
  readonly writeUs: number;
  readonly syncUs: number;
}

interface WriteUnderWay {
  readonly inode: Inode;
  readonly data: readonly Uint8Array[];
  readonly positionBytes: number;
}

export class SimDisk {
  /** Bytes the disk holds; lower it to meet DISK_FULL. */
  capacityBytes = 2 ** 40;
  latency: DiskLatency = { readUs: 60, writeUs: 20, syncUs: 800 };
  readonly names = new Names();
  readonly random: SeededRandom;
  /** Inodes that the process has open, and how often: they take room without a name too. */
  readonly #open = new Map<Inode, number>();
  readonly #underWay = new Set<WriteUnderWay>();
  #plans: { plan: FaultPlan; seen: number }[] = [];
  #changes = 0;
  #stop: { at: number; how: 'crash' | 'power cut' } | undefined;
  /** Set by the machine: ends its process. */
  onStop: (how: 'crash' | 'power cut') => void = () => {};

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** Changing operations begun so far: what a sweep over all stopping points counts to. */
  get changes(): number {
    return this.#changes;
  }

  /** Adds a fault to come. */
  fail(plan: FaultPlan): void {
    this.#plans.push({ plan, seen: 0 });
  }

  /** Forgets planned faults and stops. */
  heal(): void {
    this.#plans = [];
    this.#stop = undefined;
  }

  /** Stops the machine when `changes` more changing operations have happened, in the middle of the next. */
  stopAfter(changes: number, how: 'crash' | 'power cut'): void {
    this.#stop = { at: this.#changes + changes, how };
  }

  get freeBytes(): number {
    let pages = 0;
    for (const inode of this.#all()) pages += inode.pageCount;
    return Math.max(0, this.capacityBytes - pages * BLOCK_BYTES);
  }

  /** An operation begins; may end the process instead of returning. */
  begin(operation: DiskOperation): void {
    if (!CHANGES.has(operation)) return;
    if (this.#stop !== undefined && this.#changes >= this.#stop.at) {
      const { how } = this.#stop;
      this.#stop = undefined;
      this.onStop(how);
    }
    this.#changes++;
  }

  /** Throws EIO when a plan says that this operation fails. */
  outcome(operation: DiskOperation, path: string): void {
    for (const entry of this.#plans) {
      const { plan } = entry;
      if (plan.operation !== operation || !path.startsWith(plan.pathPrefix ?? '')) continue;
      const seen = entry.seen++;
      const first = plan.after ?? 0;
      if (seen >= first && seen < first + (plan.times ?? 1)) throw ioError(operation, path, 'EIO');
    }
  }

  /** Writes as much as there is room for; throws DISK_FULL after a part when that is not all. */
  write(inode: Inode, path: string, data: Uint8Array, positionBytes: number): void {
    const fits = inode.fitting(positionBytes, data.length, Math.floor(this.freeBytes / BLOCK_BYTES));
    if (fits > 0) inode.write(data.subarray(0, fits), positionBytes);
    if (fits < data.length) throw ioError('write', path, 'ENOSPC');
  }

  /** Notes a write whose completion is still to come; the result ends that. */
  writeUnderWay(inode: Inode, data: readonly Uint8Array[], positionBytes: number): () => void {
    const entry = { inode, data: data.map((view) => view.slice()), positionBytes };
    this.#underWay.add(entry);
    return () => this.#underWay.delete(entry);
  }

  opened(inode: Inode): void {
    this.#open.set(inode, (this.#open.get(inode) ?? 0) + 1);
  }

  closed(inode: Inode): void {
    const left = (this.#open.get(inode) ?? 1) - 1;
    if (left === 0) this.#open.delete(inode);
    else this.#open.set(inode, left);
  }

  /** The process is gone; the page cache is not. */
  processDied(): void {
    for (const { inode, data, positionBytes } of this.#underWay) {
      const bytes = Buffer.concat(data);
      const cut = Math.floor((positionBytes + this.random.below(bytes.length + 1)) / SECTOR_BYTES) * SECTOR_BYTES;
      const done = this.random.pick([0, bytes.length, Math.max(0, cut - positionBytes)]);
      const fits = inode.fitting(positionBytes, done, Math.floor(this.freeBytes / BLOCK_BYTES));
      if (fits > 0) inode.write(bytes.subarray(0, fits), positionBytes);
    }
    for (const inode of this.#all()) inode.abandonSyncs();
    this.#underWay.clear();
    this.#open.clear();
  }

  powerCut(): void {
    this.processDied();
    this.names.powerCut(this.random);
    for (const inode of new Set(this.names.inodes())) inode.powerCut(this.random);
  }

  #all(): Set<Inode> {
    return new Set([...this.names.inodes(), ...this.#open.keys()]);
  }

  /** How long an operation takes this time. */
  durationUs(operation: DiskOperation): number {
    const { readUs, writeUs, syncUs } = this.latency;
    const least =
      operation === 'sync' || operation === 'sync-folder' ? syncUs : CHANGES.has(operation) ? writeUs : readUs;
    return least === 0 ? 0 : this.random.between(least, 4 * least);
  }
}

/** The error a real storage gives for an errno. */
export function ioError(operation: DiskOperation, path: string, errno: string): DiskswarmError {
  const reading = operation === 'read' || operation === 'stat' || operation === 'list';
  const code = errno === 'ENOSPC' ? 'DISK_FULL' : reading ? 'READ_FAILED' : 'WRITE_FAILED';
  return new DiskswarmError(code, `${path}: ${errno} (simulated ${operation})`, { data: { path, errno } });
}
