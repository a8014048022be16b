/**
 * Storage in memory that can be crashed: for the tests of journal and store.
 *
 * Each file has what programs see and, apart from it, what is on the platter: content at its last sync and the writes since then.
 * `powerCut` keeps any of those writes' 512-byte sectors and any prefix of the unsynced names, as the dice fall.
 * Faults are planned by a hook that sees every operation before it happens.
 */
import { DiskswarmError, folderOf, type OpenMode, type Storage, type StorageFile } from '@diskswarm/core';

const SECTOR_BYTES = 512;

export type Operation = 'open' | 'read' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncFolder';
/** May throw to make the operation fail. */
export type FaultHook = (operation: Operation, path: string) => void;

interface Inode {
  content: Buffer;
  sizeBytes: number;
  durable: Buffer;
  /** Ranges written since the last sync, and cuts as negative lengths. */
  unsynced: { positionBytes: number; lengthBytes: number }[];
}

export class MemoryStorage implements Storage {
  names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #unsyncedNames: { folder: string; apply: (names: Map<string, Inode>) => void }[] = [];
  hook: FaultHook = () => {};
  /** Bytes that all files together may hold. */
  capacityBytes = Number.POSITIVE_INFINITY;
  operations = 0;

  note(operation: Operation, path: string): void {
    this.operations++;
    this.hook(operation, path);
  }

  usedBytes(): number {
    let sum = 0;
    for (const inode of new Set(this.names.values())) sum += inode.sizeBytes;
    return sum;
  }

  async open(path: string, mode: OpenMode): Promise<StorageFile> {
    this.note('open', path);
    let inode = this.names.get(path);
    if (inode === undefined) {
      if (mode === 'read' || mode === 'write')
        throw new DiskswarmError('READ_FAILED', `${path}: absent`, { data: { path } });
      const made: Inode = { content: Buffer.alloc(0), sizeBytes: 0, durable: Buffer.alloc(0), unsynced: [] };
      inode = made;
      this.#name(folderOf(path), (names) => names.set(path, made));
    } else if (mode === 'create-new') {
      throw new DiskswarmError('WRITE_FAILED', `${path}: exists`, { data: { path } });
    }
    return new MemoryFile(this, path, inode);
  }

  async stat(path: string): Promise<{ sizeBytes: number } | null> {
    const inode = this.names.get(path);
    return inode === undefined ? null : { sizeBytes: inode.sizeBytes };
  }

  async list(folder: string): Promise<string[]> {
    const found: string[] = [];
    for (const path of this.names.keys())
      if (folderOf(path) === folder) found.push(path.slice(folder === '' ? 0 : folder.length + 1));
    return found.sort();
  }

  async makeFolder(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    this.note('rename', to);
    const inode = this.names.get(from);
    if (inode === undefined) throw new DiskswarmError('WRITE_FAILED', `${from}: absent`, { data: { path: from } });
    this.#name(folderOf(to), (names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    this.note('remove', path);
    if (this.names.has(path)) this.#name(folderOf(path), (names) => names.delete(path));
  }

  async removeFolder(): Promise<void> {}

  async syncFolder(folder: string): Promise<void> {
    this.note('syncFolder', folder);
    // Names reach the platter in order, whichever folder they are in, as a journalling file system does it.
    for (const step of this.#unsyncedNames.splice(0)) step.apply(this.#durableNames);
  }

  async freeBytes(): Promise<number> {
    return this.capacityBytes - this.usedBytes();
  }

  /** The storage as it is after the power came back. `below(n)` rolls the dice. */
  powerCut(below: (limit: number) => number): MemoryStorage {
    const after = new MemoryStorage();
    const names = new Map(this.#durableNames);
    const kept = below(this.#unsyncedNames.length + 1);
    for (const step of this.#unsyncedNames.slice(0, kept)) step.apply(names);
    const survivors = new Map<Inode, Inode>();
    for (const [path, inode] of names) {
      let survivor = survivors.get(inode);
      if (survivor === undefined) {
        survivor = survive(inode, below);
        survivors.set(inode, survivor);
      }
      after.names.set(path, survivor);
    }
    after.#durableNames = new Map(after.names);
    return after;
  }

  /** Changes bytes as a failing disk would, behind everybody's back. */
  damage(path: string, positionBytes: number, lengthBytes = 1): void {
    const inode = this.names.get(path)!;
    for (let at = positionBytes; at < positionBytes + lengthBytes; at++) {
      inode.content[at]! ^= 0x5a;
      if (at < inode.durable.length) inode.durable[at]! ^= 0x5a;
    }
  }

  bytesOf(path: string): Buffer {
    const inode = this.names.get(path)!;
    return Buffer.from(inode.content.subarray(0, inode.sizeBytes));
  }

  #name(folder: string, apply: (names: Map<string, Inode>) => void): void {
    apply(this.names);
    this.#unsyncedNames.push({ folder, apply });
  }
}

function survive(inode: Inode, below: (limit: number) => number): Inode {
  const image = Buffer.alloc(Math.max(inode.content.length, inode.durable.length));
  inode.durable.copy(image);
  let sizeBytes = inode.durable.length;
  const luck = below(4);
  for (const { positionBytes, lengthBytes } of inode.unsynced) {
    if (lengthBytes < 0) {
      if (below(2) === 0) {
        image.fill(0, positionBytes);
        sizeBytes = Math.min(sizeBytes, positionBytes);
      }
      continue;
    }
    for (let at = positionBytes; at < positionBytes + lengthBytes; ) {
      const end = Math.min(positionBytes + lengthBytes, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      // Now and then all or nothing survives; otherwise each sector for itself.
      if (luck === 0 || (luck > 1 && below(4) > 0)) {
        inode.content.copy(image, at, at, end);
        sizeBytes = Math.max(sizeBytes, end);
      }
      at = end;
    }
  }
  const content = Buffer.from(image.subarray(0, sizeBytes));
  return { content, sizeBytes, durable: Buffer.from(content), unsynced: [] };
}

class MemoryFile implements StorageFile {
  readonly path: string;
  readonly #storage: MemoryStorage;
  readonly #inode: Inode;

  constructor(storage: MemoryStorage, path: string, inode: Inode) {
    this.#storage = storage;
    this.path = path;
    this.#inode = inode;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    this.#storage.note('read', this.path);
    const { content, sizeBytes } = this.#inode;
    const count = Math.max(0, Math.min(into.length, sizeBytes - positionBytes));
    into.set(content.subarray(positionBytes, positionBytes + count));
    return count;
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    return this.readSync(into, positionBytes);
  }

  writeSync(data: Uint8Array, positionBytes: number): void {
    this.#storage.note('write', this.path);
    const inode = this.#inode;
    const growth = Math.max(0, positionBytes + data.length - inode.sizeBytes);
    const room = this.#storage.capacityBytes - this.#storage.usedBytes();
    const fits = growth <= room ? data.length : Math.max(0, data.length - (growth - room));
    if (fits > 0) this.#store(data.subarray(0, fits), positionBytes);
    if (fits < data.length) throw new DiskswarmError('DISK_FULL', `${this.path}: full`, { data: { path: this.path } });
  }

  async write(data: readonly Uint8Array[], positionBytes: number): Promise<void> {
    let position = positionBytes;
    for (const view of data) {
      this.writeSync(view, position);
      position += view.length;
    }
  }

  async sync(): Promise<void> {
    const inode = this.#inode;
    const content = Buffer.from(inode.content.subarray(0, inode.sizeBytes));
    const count = inode.unsynced.length;
    this.#storage.note('sync', this.path);
    await new Promise<void>((resolve) => setImmediate(resolve));
    inode.durable = content;
    inode.unsynced.splice(0, count);
  }

  sizeBytes(): number {
    return this.#inode.sizeBytes;
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#storage.note('truncate', this.path);
    this.#inode.content.fill(0, sizeBytes);
    this.#inode.sizeBytes = sizeBytes;
    this.#inode.unsynced.push({ positionBytes: sizeBytes, lengthBytes: -1 });
  }

  async close(): Promise<void> {}

  #store(data: Uint8Array, positionBytes: number): void {
    const inode = this.#inode;
    const end = positionBytes + data.length;
    if (end > inode.content.length) {
      const grown = Buffer.alloc(Math.max(end, inode.content.length * 2));
      inode.content.copy(grown, 0, 0, inode.sizeBytes);
      inode.content = grown;
    }
    inode.content.set(data, positionBytes);
    inode.sizeBytes = Math.max(inode.sizeBytes, end);
    inode.unsynced.push({ positionBytes, lengthBytes: data.length });
  }
}
