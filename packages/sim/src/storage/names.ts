/**
 * Names of files and folders on a simulated disk: as they are now, and as the medium knows them.
 *
 * Creating, renaming and removing become durable with `sync` of a folder they touch. At a power cut the first few of a
 * folder's other operations may have made it, in their order.
 */
import { folderOf } from '@diskswarm/core';
import type { SeededRandom } from '../seeded-random.ts';
import type { Inode } from './inode.ts';

interface View {
  readonly files: Map<string, Inode>;
  readonly folders: Set<string>;
}

interface NameOperation {
  readonly folders: readonly string[];
  apply(view: View): void;
}

export class Names {
  readonly #current: View = { files: new Map(), folders: new Set(['']) };
  readonly #durable: View = { files: new Map(), folders: new Set(['']) };
  #pending: NameOperation[] = [];

  file(path: string): Inode | undefined {
    return this.#current.files.get(path);
  }

  hasFolder(path: string): boolean {
    return this.#current.folders.has(path);
  }

  /** Every inode that has a name. */
  inodes(): Iterable<Inode> {
    return this.#current.files.values();
  }

  /** Names of files and folders right inside a folder, sorted. */
  list(folder: string): string[] {
    const names = [...this.#current.files.keys(), ...this.#current.folders].filter(
      (path) => path !== '' && folderOf(path) === folder,
    );
    return names.map((path) => path.slice(folder === '' ? 0 : folder.length + 1)).sort();
  }

  create(path: string, inode: Inode): void {
    this.#do([folderOf(path)], (view) => view.files.set(path, inode));
  }

  remove(path: string): void {
    this.#do([folderOf(path)], (view) => view.files.delete(path));
  }

  rename(from: string, to: string, inode: Inode): void {
    this.#do([folderOf(from), folderOf(to)], (view) => {
      view.files.delete(from);
      view.files.set(to, inode);
    });
  }

  makeFolder(path: string): void {
    this.#do([folderOf(path)], (view) => view.folders.add(path));
  }

  removeFolder(path: string): void {
    this.#do([folderOf(path)], (view) => view.folders.delete(path));
  }

  sync(folder: string): void {
    for (const operation of this.#pending) if (operation.folders.includes(folder)) operation.apply(this.#durable);
    this.#pending = this.#pending.filter((operation) => !operation.folders.includes(folder));
  }

  powerCut(random: SeededRandom): void {
    const ended = new Set<string>();
    for (const { folders, apply } of this.#pending) {
      if (!folders.some((folder) => ended.has(folder)) && random.chance(0.5)) apply(this.#durable);
      else for (const folder of folders) ended.add(folder);
    }
    this.#pending = [];
    const reachable = (path: string): boolean =>
      path === '' || (this.#durable.folders.has(path) && reachable(folderOf(path)));
    for (const folder of this.#durable.folders) if (!reachable(folder)) this.#durable.folders.delete(folder);
    for (const path of this.#durable.files.keys()) if (!reachable(folderOf(path))) this.#durable.files.delete(path);
    this.#current.files.clear();
    this.#current.folders.clear();
    for (const [path, inode] of this.#durable.files) this.#current.files.set(path, inode);
    for (const folder of this.#durable.folders) this.#current.folders.add(folder);
  }

  #do(folders: readonly string[], apply: (view: View) => void): void {
    apply(this.#current);
    this.#pending.push({ folders, apply });
  }
}
