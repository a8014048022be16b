/**
 * A Backing in memory whose answers a test can hold back: absent ranges wait in `read`, and writes can be made to wait too.
 *
 * Everything counts as uncommitted until `commit` and as volatile until `flush`, so that a test can see what an acknowledgement
 * was worth.
 */
import { type Backing, DiskswarmError, type StatusContext, type StatusExtent } from '@diskswarm/core';

/** Something that waits until the test lets it go. */
export interface Held {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  finish(error?: Error): void;
}

export class MemoryBacking implements Backing {
  readonly bytes: Uint8Array;
  readOnly = false;
  /** Offsets at or above are absent: `readSync` declines and `read` waits in `heldReads`. */
  absentFrom = Number.POSITIVE_INFINITY;
  /** Writes wait in `heldWrites` and take their bytes only when let go. */
  holdWrites = false;
  holdFlushes = false;
  /** Thrown by the next calls. */
  failing: Error | null = null;
  commitFails: Error | null = null;
  readonly heldReads: Held[] = [];
  readonly heldWrites: Held[] = [];
  readonly heldFlushes: Held[] = [];
  readonly calls: string[] = [];
  uncommitted = 0;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  readSync(offsetBytes: number, into: Uint8Array): boolean {
    if (this.failing !== null) throw this.failing;
    if (offsetBytes + into.length > this.absentFrom) return false;
    into.set(this.bytes.subarray(offsetBytes, offsetBytes + into.length));
    return true;
  }

  read(offsetBytes: number, into: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    return new Promise((resolve, reject) => {
      options.signal.addEventListener('abort', () => reject(new DiskswarmError('ABORTED', 'given up')));
      this.heldReads.push({
        offsetBytes,
        lengthBytes: into.length,
        finish: (error) => {
          into.set(this.bytes.subarray(offsetBytes, offsetBytes + into.length));
          if (error === undefined) resolve();
          else reject(error);
        },
      });
    });
  }

  write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    if (this.failing !== null) throw this.failing;
    this.calls.push(`write ${offsetBytes}+${data.length}`);
    return this.#change(offsetBytes, data.length, () => this.bytes.set(data, offsetBytes));
  }

  trim(offsetBytes: number, lengthBytes: number): void | Promise<void> {
    this.calls.push(`trim ${offsetBytes}+${lengthBytes}`);
    return this.#change(offsetBytes, lengthBytes, () => this.bytes.fill(0, offsetBytes, offsetBytes + lengthBytes));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: { keepAllocated: boolean }): void | Promise<void> {
    this.calls.push(`zero ${offsetBytes}+${lengthBytes}${options.keepAllocated ? ' kept' : ''}`);
    return this.#change(offsetBytes, lengthBytes, () => this.bytes.fill(0, offsetBytes, offsetBytes + lengthBytes));
  }

  #change(offsetBytes: number, lengthBytes: number, apply: () => void): void | Promise<void> {
    if (!this.holdWrites) {
      apply();
      this.uncommitted += 1;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.heldWrites.push({
        offsetBytes,
        lengthBytes,
        finish: (error) => {
          if (error !== undefined) return reject(error);
          apply();
          this.uncommitted += 1;
          resolve();
        },
      });
    });
  }

  commit(): void {
    this.calls.push('commit');
    if (this.commitFails !== null) throw this.commitFails;
    this.uncommitted = 0;
  }

  flush(): Promise<void> {
    this.calls.push('flush');
    if (!this.holdFlushes) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.heldFlushes.push({
        offsetBytes: 0,
        lengthBytes: 0,
        finish: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
  }

  prefetch(offsetBytes: number, lengthBytes: number): void {
    this.calls.push(`prefetch ${offsetBytes}+${lengthBytes}`);
  }

  async status(
    offsetBytes: number,
    lengthBytes: number,
    context: StatusContext,
    maxExtents: number,
  ): Promise<StatusExtent[]> {
    if (this.failing !== null) throw this.failing;
    const half = Math.ceil(lengthBytes / 2);
    const flags = context === 'base:allocation' ? 3 : 1;
    const extents = [{ lengthBytes: half, flags: 0 }];
    if (lengthBytes > half && offsetBytes >= 0) extents.push({ lengthBytes: lengthBytes - half, flags });
    return extents.slice(0, maxExtents);
  }
}
