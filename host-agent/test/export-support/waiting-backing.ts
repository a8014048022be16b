/** A Backing in memory whose first 4 KiB-or-longer read or write waits until the test lets it go. */
import { type Backing, DiskswarmError, type StatusExtent } from '@diskswarm/core';

export class WaitingBacking implements Backing {
  readonly bytes: Uint8Array;
  readonly readOnly = false;
  committed = false;
  /** A read or write has begun to wait. */
  readonly arrived: Promise<void>;
  /** A read was given up. */
  readonly aborted: Promise<void>;
  #arrive!: () => void;
  #abort!: () => void;
  #release: (() => void) | null = null;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.arrived = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    this.aborted = new Promise((resolve) => {
      this.#abort = resolve;
    });
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  release(): void {
    this.#release?.();
  }

  readSync(): boolean {
    return false;
  }

  read(_offsetBytes: number, _into: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#release = resolve;
      options.signal.addEventListener('abort', () => {
        this.#abort();
        reject(new DiskswarmError('ABORTED', 'given up'));
      });
      this.#arrive();
    });
  }

  write(offsetBytes: number, data: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#release = () => {
        this.bytes.set(data, offsetBytes);
        resolve();
      };
      this.#arrive();
    });
  }

  trim(): void {}

  writeZeroes(): void {}

  commit(): void {
    this.committed = true;
  }

  async flush(): Promise<void> {}

  prefetch(): void {}

  async status(_offsetBytes: number, lengthBytes: number): Promise<StatusExtent[]> {
    return [{ lengthBytes, flags: 0 }];
  }
}
