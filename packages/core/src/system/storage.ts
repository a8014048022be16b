/**
 * Storage on the real file system, rooted at one folder.
 *
 * Files and folders are made for their owner alone (0600, 0700). fdatasync is what `sync` means; ENOSPC and EDQUOT become DISK_FULL.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError } from '../errors.ts';
import type { OpenMode, Storage, StorageFile } from '../storage.ts';

const FLAGS: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
  'create-new': fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

/** Most views that one gathering write takes (IOV_MAX on Linux). */
const MAX_VIEWS = 1024;

export class FolderStorage implements Storage {
  readonly root: string;

  constructor(root: string) {
    this.root = path.resolve(root);
  }

  async open(name: string, mode: OpenMode): Promise<StorageFile> {
    const reading = mode === 'read';
    return attempt(name, reading ? 'READ_FAILED' : 'WRITE_FAILED', async () => {
      const fd = await new Promise<number>((resolve, reject) => {
        fs.open(this.#resolve(name), FLAGS[mode] | fs.constants.O_NOFOLLOW, 0o600, (error, opened) =>
          error ? reject(error) : resolve(opened),
        );
      });
      return new FolderFile(name, fd);
    });
  }

  async stat(name: string): Promise<{ sizeBytes: number } | null> {
    return attempt(name, 'READ_FAILED', async () => {
      const stat = await unlessAbsent(fs.promises.stat(this.#resolve(name)));
      return stat === null ? null : { sizeBytes: stat.size };
    });
  }

  async list(folder: string): Promise<string[]> {
    return attempt(folder, 'READ_FAILED', async () =>
      ((await unlessAbsent(fs.promises.readdir(this.#resolve(folder)))) ?? []).sort(),
    );
  }

  async makeFolder(folder: string): Promise<void> {
    await attempt(folder, 'WRITE_FAILED', () =>
      fs.promises.mkdir(this.#resolve(folder), { recursive: true, mode: 0o700 }),
    );
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt(from, 'WRITE_FAILED', () => fs.promises.rename(this.#resolve(from), this.#resolve(to)));
  }

  async remove(name: string): Promise<void> {
    await attempt(name, 'WRITE_FAILED', () => fs.promises.rm(this.#resolve(name), { force: true }));
  }

  async removeFolder(folder: string): Promise<void> {
    await attempt(folder, 'WRITE_FAILED', () => unlessAbsent(fs.promises.rmdir(this.#resolve(folder))));
  }

  async syncFolder(folder: string): Promise<void> {
    await attempt(folder, 'WRITE_FAILED', async () => {
      const handle = await fs.promises.open(this.#resolve(folder), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  async freeBytes(): Promise<number> {
    return attempt('', 'READ_FAILED', async () => {
      const stat = await fs.promises.statfs(this.root);
      return stat.bavail * stat.bsize;
    });
  }

  #resolve(name: string): string {
    if (path.isAbsolute(name) || name.split('/').includes('..')) throw new RangeError(`"${name}" leaves the storage`);
    return path.join(this.root, name);
  }
}

class FolderFile implements StorageFile {
  readonly path: string;
  #fd: number;

  constructor(name: string, fd: number) {
    this.path = name;
    this.#fd = fd;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    return attemptSync(this.path, 'READ_FAILED', () => {
      let done = 0;
      while (done < into.length) {
        const count = fs.readSync(this.#fd, into, done, into.length - done, positionBytes + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  }

  read(into: Uint8Array, positionBytes: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const step = (done: number): void => {
        fs.read(this.#fd, into, done, into.length - done, positionBytes + done, (error, count) => {
          if (error) reject(translate(error, this.path, 'READ_FAILED'));
          else if (count === 0 || done + count === into.length) resolve(done + count);
          else step(done + count);
        });
      };
      if (into.length === 0) resolve(0);
      else step(0);
    });
  }

  writeSync(data: Uint8Array, positionBytes: number): void {
    attemptSync(this.path, 'WRITE_FAILED', () => {
      let done = 0;
      while (done < data.length) done += fs.writeSync(this.#fd, data, done, data.length - done, positionBytes + done);
    });
  }

  async write(data: readonly Uint8Array[], positionBytes: number): Promise<void> {
    let position = positionBytes;
    let left = data.filter((view) => view.length > 0);
    while (left.length > 0) {
      let count = await this.#writeSome(left.slice(0, MAX_VIEWS), position);
      position += count;
      const next = left.findIndex((view) => {
        if (count < view.length) return true;
        count -= view.length;
        return false;
      });
      left = next < 0 ? [] : [left[next]!.subarray(count), ...left.slice(next + 1)];
    }
  }

  /** One gathering write; the kernel may take less than all. */
  #writeSome(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.writev(this.#fd, views, positionBytes, (error, count) => {
        if (error) reject(translate(error, this.path, 'WRITE_FAILED'));
        else resolve(count);
      });
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(translate(error, this.path, 'WRITE_FAILED')) : resolve()));
    });
  }

  sizeBytes(): number {
    return attemptSync(this.path, 'READ_FAILED', () => fs.fstatSync(this.#fd).size);
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, sizeBytes, (error) =>
        error ? reject(translate(error, this.path, 'WRITE_FAILED')) : resolve(),
      );
    });
  }

  async close(): Promise<void> {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    await new Promise<void>((resolve, reject) => {
      fs.close(fd, (error) => (error ? reject(translate(error, this.path, 'WRITE_FAILED')) : resolve()));
    });
  }
}

type Failure = 'READ_FAILED' | 'WRITE_FAILED';

function translate(error: unknown, name: string, failure: Failure): Error {
  const system = error as NodeJS.ErrnoException;
  if (typeof system.code !== 'string') return error as Error;
  const full = system.code === 'ENOSPC' || system.code === 'EDQUOT';
  return new DiskswarmError(full ? 'DISK_FULL' : failure, `${name}: ${system.message}`, {
    data: { path: name, errno: system.code },
    cause: error,
  });
}

async function attempt<Result>(name: string, failure: Failure, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw translate(error, name, failure);
  }
}

function attemptSync<Result>(name: string, failure: Failure, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw translate(error, name, failure);
  }
}

async function unlessAbsent<Result>(promise: Promise<Result>): Promise<Result | null> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
