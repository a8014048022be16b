/**
 * Writes cpio archives of the "newc" form, the one the kernel unpacks as an initramfs.
 *
 * Everything that could vary (owner, time, inode, device) is fixed, so equal entries give equal bytes. Source: the
 * kernel's buffer-format text for initramfs. Leaves what goes in to initramfs.ts.
 */

/** One entry; parents come before what is in them. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'console';
  /** A file's content or, as UTF-8, a link's target. @default empty */
  readonly data?: Uint8Array;
}

const MODES = { file: 0o100755, folder: 0o040755, link: 0o120777, console: 0o020600 } as const;

/** The archive of `entries` with its trailer, as a fresh array. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(entry.path, MODES[entry.kind], entry.data ?? new Uint8Array(), index + 1, entry.kind));
  });
  parts.push(...record('TRAILER!!!', 0, new Uint8Array(), 0, 'file'));
  return new Uint8Array(Buffer.concat(parts));
}

function record(path: string, mode: number, data: Uint8Array, inode: number, kind: CpioEntry['kind']): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const [deviceMajor, deviceMinor] = kind === 'console' ? [5, 1] : [0, 0];
  const links = kind === 'folder' ? 2 : 1;
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, deviceMajor, deviceMinor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}
