/**
 * A Backing over one plain file, synchronous throughout: what the fastest possible disk looks like to the NBD server.
 *
 * Zeroed ranges are written as zeros and remembered as holes in 64 KiB blocks, so that block status has something to say.
 */
import fs from 'node:fs';
import type { Backing, StatusContext, StatusExtent } from '@diskswarm/core';

const GRAIN_BYTES = 64 * 1024;
const ZEROS = new Uint8Array(GRAIN_BYTES);

export class FileBacking implements Backing {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** What was called, for tests that ask. */
  readonly calls = { commit: 0, flush: 0, prefetch: [] as [number, number][] };
  readonly #fd: number;
  /** Which blocks hold data; found out when block status is first asked for. */
  #data: Uint8Array | null = null;

  constructor(path: string, options: { readOnly?: boolean } = {}) {
    this.readOnly = options.readOnly ?? false;
    this.#fd = fs.openSync(path, this.readOnly ? 'r' : 'r+');
    this.sizeBytes = fs.fstatSync(this.#fd).size;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  readSync(offsetBytes: number, into: Uint8Array): boolean {
    let done = 0;
    while (done < into.length) done += fs.readSync(this.#fd, into, done, into.length - done, offsetBytes + done);
    return true;
  }

  async read(offsetBytes: number, into: Uint8Array): Promise<void> {
    this.readSync(offsetBytes, into);
  }

  write(offsetBytes: number, data: Uint8Array): void {
    let done = 0;
    while (done < data.length) done += fs.writeSync(this.#fd, data, done, data.length - done, offsetBytes + done);
    this.#mark(offsetBytes, data.length, 1);
  }

  trim(offsetBytes: number, lengthBytes: number): void {
    this.#zero(offsetBytes, lengthBytes, true);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: { keepAllocated: boolean }): void {
    this.#zero(offsetBytes, lengthBytes, !options.keepAllocated);
  }

  #zero(offsetBytes: number, lengthBytes: number, hole: boolean): void {
    const end = offsetBytes + lengthBytes;
    for (let from = offsetBytes; from < end; ) {
      const index = Math.floor(from / GRAIN_BYTES);
      const stop = Math.min(end, (index + 1) * GRAIN_BYTES, this.sizeBytes);
      const whole = stop - from === Math.min(GRAIN_BYTES, this.sizeBytes - index * GRAIN_BYTES);
      this.write(from, ZEROS.subarray(0, stop - from));
      if (whole && hole) this.#mark(from, stop - from, 0);
      from = stop;
    }
  }

  commit(): void {
    this.calls.commit += 1;
  }

  async flush(): Promise<void> {
    this.calls.flush += 1;
    await new Promise<void>((resolve, reject) =>
      fs.fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error))),
    );
  }

  prefetch(offsetBytes: number, lengthBytes: number): void {
    this.calls.prefetch.push([offsetBytes, lengthBytes]);
  }

  async status(
    offsetBytes: number,
    lengthBytes: number,
    context: StatusContext,
    maxExtents: number,
  ): Promise<StatusExtent[]> {
    if (context === 'diskswarm:presence') return [{ lengthBytes, flags: 0 }];
    const data = this.#scan();
    const extents: { lengthBytes: number; flags: number }[] = [];
    const end = offsetBytes + lengthBytes;
    for (let from = offsetBytes; from < end; ) {
      const index = Math.floor(from / GRAIN_BYTES);
      const stop = Math.min(end, (index + 1) * GRAIN_BYTES);
      const flags = data[index] === 0 ? 3 : 0;
      const last = extents.at(-1);
      if (last?.flags === flags) last.lengthBytes += stop - from;
      else if (extents.length === maxExtents) return extents;
      else extents.push({ lengthBytes: stop - from, flags });
      from = stop;
    }
    return extents;
  }

  #mark(offsetBytes: number, lengthBytes: number, state: 0 | 1): void {
    if (this.#data === null) return;
    const first = Math.floor(offsetBytes / GRAIN_BYTES);
    this.#data.fill(state, first, Math.floor((offsetBytes + lengthBytes - 1) / GRAIN_BYTES) + 1);
  }

  #scan(): Uint8Array {
    if (this.#data !== null) return this.#data;
    const data = new Uint8Array(Math.ceil(this.sizeBytes / GRAIN_BYTES));
    const block = new Uint8Array(GRAIN_BYTES);
    for (let index = 0; index < data.length; index += 1) {
      const count = fs.readSync(this.#fd, block, 0, GRAIN_BYTES, index * GRAIN_BYTES);
      data[index] = Buffer.compare(block.subarray(0, count), ZEROS.subarray(0, count)) === 0 ? 0 : 1;
    }
    this.#data = data;
    return data;
  }
}
