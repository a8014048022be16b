/**
 * The files of a torrent as version 2 describes them (BEP 52), and whether a hybrid torrent's two descriptions agree.
 *
 * Two that disagree would give one file to a client that reads version 1 and another to one that reads version 2.
 */
import { MAX_DISK_BYTES } from '@diskswarm/core';
import { type Bencoded, type Dictionary, invalid, isDictionary, refuse } from './bencode-spans.ts';
import { MAX_PATH_PARTS, MAX_TORRENT_FILES } from './limits.ts';

const ROOT_BYTES = 32;

/** A file of the tree, in the tree's order. */
export interface TreeFile {
  readonly path: readonly string[];
  readonly lengthBytes: number;
  /** null of an empty file. */
  readonly root: Uint8Array | null;
}

/** The files of a `file tree`; `nameOf` checks each part of a path. */
export function treeFiles(tree: Dictionary, nameOf: (name: Uint8Array) => string): TreeFile[] {
  const files: TreeFile[] = [];
  const walk = (folder: Dictionary, path: readonly string[]): void => {
    if (path.length > MAX_PATH_PARTS) refuse('a path that is too long');
    for (const [key, node] of folder.entries) {
      if (files.length >= MAX_TORRENT_FILES) refuse('a tree of too many files');
      const at = [...path, nameOf(Buffer.from(key, 'latin1'))];
      if (!isDictionary(node)) throw invalid('a malformed tree of files');
      const leaf = node.entries.get('');
      if (leaf === undefined) walk(node, at);
      else if (node.entries.size > 1) refuse('a file that is a folder too');
      else files.push(fileOf(at, leaf));
    }
  };
  walk(tree, []);
  return files;
}

function fileOf(path: readonly string[], leaf: Bencoded): TreeFile {
  if (!isDictionary(leaf)) return refuse('a malformed tree of files');
  const lengthBytes = leaf.entries.get('length');
  const root = leaf.entries.get('pieces root');
  if (typeof lengthBytes !== 'number' || lengthBytes < 0 || lengthBytes > MAX_DISK_BYTES)
    return refuse('a malformed length in its tree of files');
  if (lengthBytes === 0) return { path, lengthBytes, root: null };
  if (!(root instanceof Uint8Array) || root.length !== ROOT_BYTES) return refuse('a file without a root in its tree');
  return { path, lengthBytes, root };
}

interface ListedFile {
  readonly path: readonly string[];
  readonly lengthBytes: number;
  readonly offsetBytes: number;
  readonly isPadding: boolean;
}

/** TORRENT_INVALID unless both list the same files, each from the beginning of a piece. */
export function assertAgreement(listed: readonly ListedFile[], tree: readonly TreeFile[], pieceBytes: number): void {
  if (!Number.isInteger(Math.log2(pieceBytes))) refuse('a hybrid whose piece length is no power of two');
  const real = listed.filter(({ isPadding }) => !isPadding);
  const same = (file: ListedFile, index: number): boolean => {
    const other = tree[index];
    return (
      other !== undefined &&
      other.lengthBytes === file.lengthBytes &&
      other.path.length === file.path.length &&
      other.path.every((part, at) => part === file.path[at]) &&
      (file.lengthBytes === 0 || file.offsetBytes % pieceBytes === 0)
    );
  };
  if (real.length !== tree.length || !real.every(same))
    refuse('its version 1 and version 2 parts disagree on the files');
}
