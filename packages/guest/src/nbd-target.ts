/**
 * Where a guest's disk comes from, and how QEMU is told.
 *
 * Accepts the NBD URIs that exports print (`nbd+unix:///NAME?socket=PATH`, `nbd://HOST:PORT/NAME`), a socket with a name,
 * or a raw file. Source: the NBD project's uri.md; QEMU's BlockdevOptionsNbd. Connects to nothing.
 */
import { DiskswarmError } from '@diskswarm/core';

const DEFAULT_NBD_PORT = '10809';
/** A longer socket path is cut by the kernel without a word. */
const MAX_SOCKET_PATH_BYTES = 107;

/** A guest's disk. */
export type GuestDisk =
  | { readonly nbdUri: string }
  | { readonly socket: string; readonly exportName: string }
  | { readonly file: string };

/** The value of QEMU's -blockdev for `disk`; the node is called d0. @throws DiskswarmError INVALID_ARGUMENT */
export function blockdevOf(disk: GuestDisk, reconnectDelaySeconds: number): Record<string, unknown> {
  const common = { 'node-name': 'd0', discard: 'unmap' };
  if ('file' in disk) return { driver: 'file', filename: disk.file, ...common };
  const target = 'nbdUri' in disk ? parseNbdUri(disk.nbdUri) : { socket: disk.socket, exportName: disk.exportName };
  const server =
    'socket' in target
      ? { type: 'unix', path: checkSocketPath(target.socket) }
      : { type: 'inet', host: target.host, port: target.port };
  return { driver: 'nbd', server, export: target.exportName, 'reconnect-delay': reconnectDelaySeconds, ...common };
}

/** An NBD server and the name of an export. */
export type NbdTarget =
  | { readonly socket: string; readonly exportName: string }
  | { readonly host: string; readonly port: string; readonly exportName: string };

/** Takes an NBD URI apart. @throws DiskswarmError INVALID_ARGUMENT */
export function parseNbdUri(uri: string): NbdTarget {
  let url: URL;
  let exportName: string;
  try {
    url = new URL(uri);
    exportName = decodeURIComponent(url.pathname.replace(/^\//, ''));
  } catch (cause) {
    throw invalid(uri, cause);
  }
  if (url.protocol === 'nbd+unix:') {
    const socket = url.searchParams.get('socket');
    if (socket) return { socket, exportName };
  } else if (url.protocol === 'nbd:' && url.hostname !== '') {
    return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port || DEFAULT_NBD_PORT, exportName };
  }
  throw invalid(uri);
}

function checkSocketPath(path: string): string {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  throw new DiskswarmError('INVALID_ARGUMENT', `A socket path has at most ${MAX_SOCKET_PATH_BYTES} bytes: ${path}`);
}

function invalid(uri: string, cause?: unknown): DiskswarmError {
  const forms = 'nbd+unix:///NAME?socket=PATH or nbd://HOST:PORT/NAME';
  return new DiskswarmError('INVALID_ARGUMENT', `Not an NBD URI of the form ${forms}: ${uri}`, { cause });
}
