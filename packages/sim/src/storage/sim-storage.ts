/**
 * Core's Storage as the running process sees it. Behaves as the real one in system/storage.ts: one compliance suite holds both.
 *
 * Asynchronous calls take effect when they complete; synchronous ones at once, because the clock cannot move inside a call.
 */
import { folderOf, type OpenMode, type Storage, type StorageFile } from '@diskswarm/core';
import type { SimProcess } from '../process.ts';
import { type DiskOperation, ioError, type SimDisk } from './disk.ts';
import { Inode } from './inode.ts';

export class SimStorage implements Storage {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
  }

  open(path: string, mode: OpenMode): Promise<StorageFile> {
    return this.#do(mode === 'read' || mode === 'write' ? 'open' : 'create', path, () => {
      const { names } = this.#disk;
      const refuse = (errno: string): never => {
        throw ioError(mode === 'read' ? 'read' : 'write', path, errno);
      };
      if (names.hasFolder(path)) refuse('EISDIR');
      let inode = names.file(path);
      if (inode !== undefined && mode === 'create-new') refuse('EEXIST');
      if (inode === undefined) {
        if (mode === 'read' || mode === 'write' || !names.hasFolder(folderOf(path))) return refuse('ENOENT');
        inode = new Inode();
        names.create(path, inode);
      }
      this.#disk.opened(inode);
      return new SimStorageFile(path, inode, mode === 'read', this.#disk, this.#process);
    });
  }

  stat(path: string): Promise<{ readonly sizeBytes: number } | null> {
    return this.#do('stat', path, () => {
      const inode = this.#disk.names.file(path);
      if (inode !== undefined) return { sizeBytes: inode.sizeBytes };
      return this.#disk.names.hasFolder(path) ? { sizeBytes: 4096 } : null;
    });
  }

  list(folder: string): Promise<string[]> {
    return this.#do('list', folder, () => this.#disk.names.list(folder));
  }

  makeFolder(folder: string): Promise<void> {
    return this.#do('folder', folder, () => {
      const parts = folder.split('/').filter((part) => part !== '');
      for (let length = 1; length <= parts.length; length++) {
        const path = parts.slice(0, length).join('/');
        if (this.#disk.names.file(path) !== undefined) throw ioError('folder', path, 'EEXIST');
        if (!this.#disk.names.hasFolder(path)) this.#disk.names.makeFolder(path);
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    checkPath(to);
    return this.#do('rename', from, () => {
      const { names } = this.#disk;
      const inode = names.file(from);
      if (inode === undefined || !names.hasFolder(folderOf(to))) throw ioError('rename', from, 'ENOENT');
      if (names.hasFolder(to)) throw ioError('rename', from, 'EISDIR');
      if (from !== to) names.rename(from, to, inode);
    });
  }

  remove(path: string): Promise<void> {
    return this.#do('remove', path, () => {
      if (this.#disk.names.hasFolder(path)) throw ioError('remove', path, 'EISDIR');
      if (this.#disk.names.file(path) !== undefined) this.#disk.names.remove(path);
    });
  }

  removeFolder(folder: string): Promise<void> {
    return this.#do('folder', folder, () => {
      const { names } = this.#disk;
      if (names.list(folder).length > 0) throw ioError('folder', folder, 'ENOTEMPTY');
      if (names.hasFolder(folder)) names.removeFolder(folder);
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#do('sync-folder', folder, () => {
      if (!this.#disk.names.hasFolder(folder)) throw ioError('sync-folder', folder, 'ENOENT');
      this.#disk.names.sync(folder);
    });
  }

  freeBytes(): Promise<number> {
    return this.#do('stat', '', () => this.#disk.freeBytes);
  }

  #do<Result>(operation: DiskOperation, path: string, action: () => Result): Promise<Result> {
    checkPath(path);
    if (!this.#process.alive) return never();
    this.#disk.begin(operation);
    return this.#process.settleLater(this.#disk.durationUs(operation), `${operation} ${path}`, () => {
      this.#disk.outcome(operation, path);
      return action();
    });
  }
}

class SimStorageFile implements StorageFile {
  readonly path: string;
  readonly #inode: Inode;
  readonly #readOnly: boolean;
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  #open = true;

  constructor(path: string, inode: Inode, readOnly: boolean, disk: SimDisk, process: SimProcess) {
    this.path = path;
    this.#inode = inode;
    this.#readOnly = readOnly;
    this.#disk = disk;
    this.#process = process;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    this.#check('read');
    this.#disk.outcome('read', this.path);
    return this.#inode.read(into, positionBytes);
  }

  read(into: Uint8Array, positionBytes: number): Promise<number> {
    return this.#perform('read', () => this.#inode.read(into, positionBytes));
  }

  writeSync(data: Uint8Array, positionBytes: number): void {
    this.#check('write');
    const landed = this.#disk.writeUnderWay(this.#inode, [data], positionBytes);
    try {
      this.#disk.begin('write');
      this.#process.assertAlive();
    } finally {
      landed();
    }
    this.#disk.outcome('write', this.path);
    this.#disk.write(this.#inode, this.path, data, positionBytes);
  }

  async write(data: readonly Uint8Array[], positionBytes: number): Promise<void> {
    const landed = this.#disk.writeUnderWay(this.#inode, data, positionBytes);
    try {
      await this.#perform('write', () => {
        let position = positionBytes;
        for (const view of data) {
          this.#disk.write(this.#inode, this.path, view, position);
          position += view.length;
        }
      });
    } finally {
      landed();
    }
  }

  sync(): Promise<void> {
    return this.#guarded('sync', () => {
      const nowUs = this.#process.clock.nowUs();
      const inode = this.#inode;
      const writeback = inode.beginSync();
      inode.syncEndsUs = Math.max(nowUs + this.#disk.durationUs('sync'), inode.syncEndsUs);
      return this.#process.settleLater(inode.syncEndsUs - nowUs, `sync ${this.path}`, () => {
        let failed = true;
        try {
          this.#disk.outcome('sync', this.path);
          failed = false;
        } finally {
          inode.finishSync(writeback, failed, this.#disk.random);
        }
      });
    });
  }

  sizeBytes(): number {
    this.#check('read');
    return this.#inode.sizeBytes;
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#perform('truncate', () => this.#inode.truncate(sizeBytes));
  }

  close(): Promise<void> {
    if (this.#open && this.#process.alive) this.#disk.closed(this.#inode);
    this.#open = false;
    return this.#process.settleLater(0, `close ${this.path}`, () => {});
  }

  #perform<Result>(operation: DiskOperation, action: () => Result): Promise<Result> {
    return this.#guarded(operation, () =>
      this.#process.settleLater(this.#disk.durationUs(operation), `${operation} ${this.path}`, () => {
        this.#disk.outcome(operation, this.path);
        return action();
      }),
    );
  }

  /** Begins an operation unless the file or its process is no more. */
  #guarded<Result>(operation: DiskOperation, start: () => Promise<Result>): Promise<Result> {
    if (!this.#process.alive) return never();
    if (!this.#allowed(operation)) return Promise.reject(ioError(operation, this.path, 'EBADF'));
    this.#disk.begin(operation);
    return this.#process.alive ? start() : never();
  }

  #check(operation: DiskOperation): void {
    this.#process.assertAlive();
    if (!this.#allowed(operation)) throw ioError(operation, this.path, 'EBADF');
  }

  #allowed(operation: DiskOperation): boolean {
    return this.#open && !(this.#readOnly && (operation === 'write' || operation === 'truncate'));
  }
}

/** What a dead process waits for. */
function never<Result>(): Promise<Result> {
  return new Promise(() => {});
}

function checkPath(path: string): void {
  if (path.startsWith('/') || path.split('/').includes('..')) throw new RangeError(`"${path}" leaves the storage`);
}
