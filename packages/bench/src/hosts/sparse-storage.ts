/**
 * Storage over a folder that leaves long runs of zeros as holes, so that chunks that are mostly zero take one block each.
 *
 * What is read back is what was written, byte for byte: nothing is made up. Only for building a large store quickly.
 */
import type { OpenMode, Storage, StorageFile } from '@diskswarm/core';
import { FolderStorage } from '@diskswarm/core/system';

/** Views longer than this are looked at. */
const LOOK_ABOVE_BYTES = 4096;
/** Data is only expected in front. */
const HEAD_BYTES = 512;
const ZEROS = Buffer.alloc(2 ** 20);

/** Storage of the folder `root` that saves space. */
export function sparseStorage(root: string): Storage {
  const folder = new FolderStorage(root);
  return new Proxy(folder as Storage, {
    get(target, property) {
      if (property === 'open') {
        return async (path: string, mode: OpenMode) => sparseFile(await target.open(path, mode));
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function sparseFile(file: StorageFile): StorageFile {
  return {
    get path() {
      return file.path;
    },
    readSync: (into, positionBytes) => file.readSync(into, positionBytes),
    read: (into, positionBytes) => file.read(into, positionBytes),
    writeSync: (data, positionBytes) => file.writeSync(data, positionBytes),
    write: async (views, positionBytes) => {
      let position = positionBytes;
      let pending: Uint8Array[] = [];
      let pendingAt = position;
      const flush = (next: number): void => {
        if (pending.length > 0) file.writeSync(Buffer.concat(pending), pendingAt);
        pending = [];
        pendingAt = next;
      };
      for (const view of views) {
        if (isHollow(view)) {
          pending.push(view.subarray(0, HEAD_BYTES));
          flush(position + view.length);
        } else {
          pending.push(view);
        }
        position += view.length;
      }
      flush(position);
      if (file.sizeBytes() < position) await file.truncate(position);
    },
    sync: () => file.sync(),
    sizeBytes: () => file.sizeBytes(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    close: () => file.close(),
  };
}

/** Zero behind its head. */
function isHollow(view: Uint8Array): boolean {
  if (view.length <= LOOK_ABOVE_BYTES || view.length > ZEROS.length) return false;
  const rest = view.subarray(HEAD_BYTES);
  return Buffer.compare(rest, ZEROS.subarray(0, rest.length)) === 0;
}
