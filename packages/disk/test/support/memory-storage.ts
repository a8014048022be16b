/**
 * A storage in memory that forgets what was not synced, tears it, fills up and fails where a test says so.
 *
 * `crash` is the death of the process (the kernel keeps everything), `powerCut` the loss of what was not synced: each dirty
 * 512-byte sector survives or not, and of the name changes since the last folder sync a prefix does.
 */
import { DiskswarmError, type OpenMode, type Storage, type StorageFile } from '@diskswarm/core';

const PAGE = 4096;
const SECTOR = 512;

class Content {
  readonly pages = new Map<number, Uint8Array>();
  readonly durable = new Map<number, Uint8Array>();
  readonly dirty = new Set<number>();
  size = 0;
  durableSize = 0;
}

type NameChange = { readonly path: string; readonly content: Content | null };

/** A small generator of its own, so that a failing run can be repeated from its seed. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = (seed >>> 0) + 0x9e3779b9;
  return (limit) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) >>> 0;
    state ^= state >>> 12;
    return (state >>> 0) % limit;
  };
}

/** The machine's disk. A process uses it through `process()`, which dies with it. */
export class MemoryStorage {
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Says whether an operation on a path fails. */
  fault: ((operation: 'read' | 'write' | 'sync', path: string) => boolean) | null = null;
  readonly counts = { writeSync: 0, readSync: 0, read: 0, sync: 0, freeBytes: 0 };
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #changes: NameChange[] = [];
  #life = 0;

  /** The process dies: its files cannot be used any more. */
  crash(): void {
    this.#life++;
  }

  /** The machine dies. */
  powerCut(random: (limit: number) => number): void {
    this.crash();
    const kept = random(this.#changes.length + 1);
    for (const { path, content } of this.#changes.slice(0, kept)) {
      if (content === null) this.#durableNames.delete(path);
      else this.#durableNames.set(path, content);
    }
    this.#changes = [];
    this.#names = new Map(this.#durableNames);
    for (const content of new Set(this.#names.values())) loseUnsynced(content, random);
  }

  usedBytes(): number {
    let pages = 0;
    for (const content of new Set(this.#names.values())) pages += content.pages.size;
    return pages * PAGE;
  }

  /** The storage as the process that runs now sees it. */
  process(): Storage {
    return new ProcessStorage(this, this.#life);
  }

  alive(life: number): void {
    if (life !== this.#life) throw new Error('the process that opened this file is dead');
  }

  check(operation: 'read' | 'write' | 'sync', path: string): void {
    if (this.fault?.(operation, path))
      throw failure(operation === 'read' ? 'READ_FAILED' : 'WRITE_FAILED', path, 'injected');
  }

  contentOf(path: string): Content | undefined {
    return this.#names.get(path);
  }

  paths(): string[] {
    return [...this.#names.keys()];
  }

  syncNames(): void {
    this.#durableNames = new Map(this.#names);
    this.#changes = [];
  }

  change(path: string, content: Content | null): void {
    if (content === null) this.#names.delete(path);
    else this.#names.set(path, content);
    this.#changes.push({ path, content });
  }
}

class ProcessStorage implements Storage {
  readonly #memory: MemoryStorage;
  readonly #life: number;

  constructor(memory: MemoryStorage, life: number) {
    this.#memory = memory;
    this.#life = life;
  }

  async open(path: string, mode: OpenMode): Promise<StorageFile> {
    await this.#turn();
    let content = this.#memory.contentOf(path);
    if (content !== undefined && mode === 'create-new') throw failure('WRITE_FAILED', path, 'exists');
    if (content === undefined) {
      if (mode === 'read' || mode === 'write')
        throw failure(mode === 'read' ? 'READ_FAILED' : 'WRITE_FAILED', path, 'absent');
      content = new Content();
      this.#memory.change(path, content);
    }
    return new MemoryFile(this.#memory, path, content, this.#life);
  }

  async stat(path: string): Promise<{ sizeBytes: number } | null> {
    await this.#turn();
    const content = this.#memory.contentOf(path);
    return content === undefined ? null : { sizeBytes: content.size };
  }

  async list(folder: string): Promise<string[]> {
    await this.#turn();
    const prefix = `${folder}/`;
    return this.#memory
      .paths()
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .sort();
  }

  async makeFolder(): Promise<void> {
    this.#memory.alive(this.#life);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turn();
    const content = this.#memory.contentOf(from);
    if (content === undefined) throw failure('WRITE_FAILED', from, 'absent');
    this.#memory.change(to, content);
    this.#memory.change(from, null);
  }

  async remove(path: string): Promise<void> {
    await this.#turn();
    if (this.#memory.contentOf(path) !== undefined) this.#memory.change(path, null);
  }

  async removeFolder(): Promise<void> {
    this.#memory.alive(this.#life);
  }

  async syncFolder(): Promise<void> {
    await this.#turn();
    this.#memory.syncNames();
  }

  async freeBytes(): Promise<number> {
    this.#memory.counts.freeBytes++;
    await this.#turn();
    return Math.max(0, this.#memory.capacityBytes - this.#memory.usedBytes());
  }

  /** Time passes; a process that died meanwhile does nothing any more. */
  async #turn(): Promise<void> {
    await turn();
    this.#memory.alive(this.#life);
  }
}

class MemoryFile implements StorageFile {
  readonly path: string;
  readonly #storage: MemoryStorage;
  readonly #content: Content;
  readonly #life: number;

  constructor(storage: MemoryStorage, path: string, content: Content, life: number) {
    this.#storage = storage;
    this.path = path;
    this.#content = content;
    this.#life = life;
  }

  readSync(into: Uint8Array, position: number): number {
    this.#storage.alive(this.#life);
    this.#storage.counts.readSync++;
    return this.#read(into, position);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#storage.counts.read++;
    await turn();
    this.#storage.alive(this.#life);
    return this.#read(into, position);
  }

  writeSync(data: Uint8Array, position: number): void {
    this.#storage.alive(this.#life);
    this.#storage.counts.writeSync++;
    this.#storage.check('write', this.path);
    const content = this.#content;
    for (let done = 0; done < data.length; ) {
      const index = Math.floor((position + done) / PAGE);
      const within = (position + done) % PAGE;
      const count = Math.min(PAGE - within, data.length - done);
      let page = content.pages.get(index);
      if (page === undefined) {
        if (this.#storage.usedBytes() + PAGE > this.#storage.capacityBytes)
          throw failure('DISK_FULL', this.path, 'full');
        page = new Uint8Array(PAGE);
        content.pages.set(index, page);
      }
      page.set(data.subarray(done, done + count), within);
      content.dirty.add(index);
      done += count;
      content.size = Math.max(content.size, position + done);
    }
  }

  async write(data: readonly Uint8Array[], position: number): Promise<void> {
    await turn();
    for (const view of data) {
      this.writeSync(view, position);
      position += view.length;
    }
  }

  async sync(): Promise<void> {
    this.#storage.counts.sync++;
    const content = this.#content;
    const pages = [...content.dirty].map((index) => [index, content.pages.get(index)?.slice()] as const);
    const { size } = content;
    await turn();
    this.#storage.alive(this.#life);
    this.#storage.check('sync', this.path);
    for (const [index, page] of pages) if (page !== undefined) content.durable.set(index, page);
    content.durableSize = size;
  }

  sizeBytes(): number {
    return this.#content.size;
  }

  async truncate(size: number): Promise<void> {
    await turn();
    const content = this.#content;
    for (const [index, page] of content.pages) {
      if (index * PAGE >= size) content.pages.delete(index);
      else if ((index + 1) * PAGE > size) page.fill(0, size - index * PAGE);
    }
    content.size = size;
  }

  async close(): Promise<void> {}

  #read(into: Uint8Array, position: number): number {
    this.#storage.check('read', this.path);
    const end = Math.min(this.#content.size, position + into.length);
    for (let at = position; at < end; ) {
      const within = at % PAGE;
      const count = Math.min(PAGE - within, end - at);
      const page = this.#content.pages.get(Math.floor(at / PAGE));
      const target = into.subarray(at - position, at - position + count);
      if (page === undefined) target.fill(0);
      else target.set(page.subarray(within, within + count));
      at += count;
    }
    return Math.max(0, end - position);
  }
}

function loseUnsynced(content: Content, random: (limit: number) => number): void {
  for (const index of content.dirty) {
    const now = content.pages.get(index);
    if (now === undefined) continue;
    const page = content.durable.get(index)?.slice() ?? new Uint8Array(PAGE);
    const mood = random(3); // All lost, all kept, or torn.
    for (let sector = 0; sector < PAGE / SECTOR; sector++) {
      if (mood === 0 || (mood === 2 && random(2) === 0)) continue;
      page.set(now.subarray(sector * SECTOR, (sector + 1) * SECTOR), sector * SECTOR);
    }
    content.pages.set(index, page);
  }
  content.dirty.clear();
  content.durable.clear();
  for (const [index, page] of content.pages) content.durable.set(index, page.slice());
  content.durableSize = content.size;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function failure(code: 'DISK_FULL' | 'READ_FAILED' | 'WRITE_FAILED', path: string, why: string): DiskswarmError {
  return new DiskswarmError(code, `${path}: ${why}`, { data: { path } });
}
