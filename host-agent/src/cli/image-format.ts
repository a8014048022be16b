/**
 * Which format an image has: an NBD export by its URI, qcow2 by its first bytes, anything else is raw.
 *
 * Formats that are certainly not raw are refused by name, since importing them as raw would make a disk that no guest can use.
 * Whether the image is complete is checked when it is read.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';

/** An image to import; `location` is an absolute path or a URI. */
export interface DetectedImage {
  readonly location: string;
  readonly format: 'raw' | 'qcow2' | 'nbd';
}

const FOREIGN: readonly { name: string; at: number; magic: string }[] = [
  { name: 'VMDK', at: 0, magic: 'KDMV' },
  { name: 'VMDK', at: 0, magic: '# Disk DescriptorFile' },
  { name: 'VHDX', at: 0, magic: 'vhdxfile' },
  { name: 'VHD', at: 0, magic: 'conectix' },
  { name: 'VDI', at: 64, magic: '\x7f\x10\xda\xbe' },
  { name: 'QED', at: 0, magic: 'QED\0' },
];
const HEAD_BYTES = 512;

/** Looks at FILE of `disk import`; BAD_IMAGE when it cannot be read or is of a format that is not supported. */
export function detectImage(file: string): DetectedImage {
  if (/^nbd(?:\+unix)?:\/\//.test(file)) return { location: file, format: 'nbd' };
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//.exec(file)?.[1];
  if (scheme !== undefined) throw badImage(file, `${scheme} URIs are not read; nbd:// and nbd+unix:// are`);
  const location = path.resolve(file);
  const head = readHead(location);
  if (head.startsWith('QFI\xfb')) return { location, format: 'qcow2' };
  const foreign = FOREIGN.find(({ at, magic }) => head.startsWith(magic, at));
  if (foreign !== undefined) {
    throw badImage(file, `it is a ${foreign.name} image; convert it first with: qemu-img convert -O qcow2`);
  }
  return { location, format: 'raw' };
}

function readHead(location: string): string {
  try {
    // Not blocking: a FIFO without a writer would wait for ever.
    const fd = fs.openSync(location, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile() && !stat.isBlockDevice()) throw badImage(location, 'it is neither a file nor a block device');
      const head = Buffer.alloc(HEAD_BYTES);
      return head.toString('latin1', 0, fs.readSync(fd, head, 0, HEAD_BYTES, 0));
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    throw error instanceof DiskswarmError ? error : badImage(location, messageOf(error));
  }
}

function badImage(file: string, why: string): DiskswarmError {
  return new DiskswarmError('BAD_IMAGE', `${file.slice(0, 300)} cannot be imported: ${why}`, {
    data: { image: file.slice(0, 300) },
  });
}
