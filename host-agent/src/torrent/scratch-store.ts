/**
 * The pieces of one file of a torrent that is fetched, in a scratch file: the file's own bytes from 0 on, whatever lies around it in the torrent.
 *
 * No name of the torrent has a part in where they go. What the scratch file holds from an earlier try is offered, and the client checks its hashes.
 * A piece that reaches beyond the file is fetched again then, since only the file's part of it is kept.
 */
import type { FileHandle } from 'node:fs/promises';
import type { FetchedFile } from './thread-protocol.ts';
import type { PieceStore } from './webtorrent-client.ts';

export class ScratchStore implements PieceStore {
  readonly #handle: FileHandle;
  readonly #file: FetchedFile;
  /** How far the scratch file reaches. */
  #reachBytes: number;

  constructor(handle: FileHandle, file: FetchedFile, reachBytes: number) {
    this.#handle = handle;
    this.#file = file;
    this.#reachBytes = reachBytes;
  }

  get: PieceStore['get'] = (piece, options, done) => {
    const { offsetBytes, lengthBytes, pieceBytes } = this.#file;
    const start = piece * pieceBytes - offsetBytes + (options?.offset ?? 0);
    // The last piece of a torrent is shorter, and webtorrent says so with `length`.
    const length = options?.length ?? pieceBytes - (options?.offset ?? 0);
    if (start < 0 || length <= 0 || start + length > Math.min(lengthBytes, this.#reachBytes)) {
      done(new RangeError('these bytes are not kept'));
      return;
    }
    const bytes = new Uint8Array(length);
    this.#handle.read(bytes, 0, length, start).then(
      ({ bytesRead }) => done(bytesRead === length ? null : new RangeError('cut short'), bytes),
      (error: Error) => done(error),
    );
  };

  put: PieceStore['put'] = (piece, bytes, done) => {
    const { offsetBytes, lengthBytes, pieceBytes } = this.#file;
    const start = piece * pieceBytes - offsetBytes;
    const from = Math.max(0, -start);
    const part = bytes.subarray(from, Math.max(from, lengthBytes - start));
    this.#write(part, start + from).then(
      () => done(null),
      (error: Error) => done(error),
    );
  };

  close: PieceStore['close'] = (done) => done(null);
  destroy: PieceStore['destroy'] = (done) => done(null);

  async #write(part: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < part.length; )
      at += (await this.#handle.write(part, at, part.length - at, position + at)).bytesWritten;
    this.#reachBytes = Math.max(this.#reachBytes, position + part.length);
  }
}
