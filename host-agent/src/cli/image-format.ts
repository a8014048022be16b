/**
 * What FILE of `disk import` is: an NBD export or a torrent by its name, qcow2 by its first bytes, anything else a raw image.
 *
 * Formats that are certainly not raw are refused by name, since importing them as raw would make a disk that no guest can use.
 * Whether the image is complete is checked when it is read.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { foreignFormat, HEAD_BYTES } from '../images/image-head.ts';

/** An image to import; `location` is an absolute path, a URI or a magnet link. */
export interface DetectedImage {
  readonly location: string;
  readonly format: 'raw' | 'qcow2' | 'nbd' | 'torrent';
}

/** Looks at FILE of `disk import`; BAD_IMAGE when it cannot be read or is of a format that is not supported. */
export function detectImage(file: string): DetectedImage {
  if (/^nbd(?:\+unix)?:\/\//.test(file)) return { location: file, format: 'nbd' };
  if (/^magnet:\?/i.test(file)) return { location: file, format: 'torrent' };
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//.exec(file)?.[1];
  if (scheme !== undefined) throw badImage(file, `${scheme} URIs are not read; nbd://, nbd+unix:// and magnet: are`);
  const location = path.resolve(file);
  const head = readHead(location);
  if (file.endsWith('.torrent')) return { location, format: 'torrent' };
  const format = foreignFormat(head);
  if (format === 'qcow2') return { location, format };
  if (format !== null) {
    throw badImage(file, `it is a ${format} image; convert it first with: qemu-img convert -O qcow2`);
  }
  return { location, format: 'raw' };
}

function readHead(location: string): Uint8Array {
  try {
    // Not blocking: a FIFO without a writer would wait for ever.
    const fd = fs.openSync(location, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile() && !stat.isBlockDevice()) throw badImage(location, 'it is neither a file nor a block device');
      const head = Buffer.alloc(HEAD_BYTES);
      return head.subarray(0, fs.readSync(fd, head, 0, HEAD_BYTES, 0));
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
