/**
 * Cuts a channel's bytes into whole BitTorrent messages (BEP 3, 6, 10) and refuses what no honest peer sends.
 *
 * The library behind it would buffer whatever length a peer declares and joins its buffers at every event; here each
 * kind of message has its bound before its body is kept, and memory grows only as bytes arrive. Availability travels in
 * extension messages, so `have`, `bitfield` and their kin are refused.
 */
import { DiskswarmError, KIB } from '@diskswarm/core';
import type { ChunkBuffers } from './chunk-buffers.ts';
import { MAX_EXTENSION_BYTES } from './limits.ts';

/** <19>"BitTorrent protocol"<8 reserved><20 info hash><20 peer id>. */
export const HANDSHAKE_BYTES = 68;
const LENGTH_BYTES = 4;
/** id, index, begin. */
const PIECE_PREFIX_BYTES = 9;
/** Everything before a chunk's bytes: length, id, index, begin. */
export const MESSAGE_HEAD_BYTES = LENGTH_BYTES + PIECE_PREFIX_BYTES;
/** id, extension number. */
const EXTENSION_PREFIX_BYTES = 2;
/** Memory that is set aside before the bytes are here. */
const FIRST_BUFFER_BYTES = 64 * KIB + MESSAGE_HEAD_BYTES;

/** Message ids that a channel carries. */
export const MESSAGE_ID = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  request: 6,
  piece: 7,
  cancel: 8,
  reject: 16,
  extended: 20,
} as const;

export class MessageFramer {
  readonly #chunkSizeBytes: number;
  readonly #receive: (message: Uint8Array) => void;
  readonly #buffers: ChunkBuffers | undefined;
  #buffer: Uint8Array = new Uint8Array(HANDSHAKE_BYTES);
  #filledBytes = 0;
  /** Whole length of the message under way; until its kind is known, what is needed to know it. */
  #totalBytes = HANDSHAKE_BYTES;
  #stage: 'handshake' | 'kind' | 'body' = 'handshake';

  /** `receive` gets whole messages with their length prefix, in arrays that are its own; pieces may come in ones of `buffers`. */
  constructor(options: {
    chunkSizeBytes: number;
    receive: (message: Uint8Array) => void;
    buffers?: ChunkBuffers | undefined;
  }) {
    this.#chunkSizeBytes = options.chunkSizeBytes;
    this.#receive = options.receive;
    this.#buffers = options.buffers;
  }

  /** Consumes `bytes`; throws PROTOCOL_ERROR, after which the channel cannot go on. */
  push(bytes: Uint8Array): void {
    let position = 0;
    while (position < bytes.length) {
      const count = Math.min(this.#totalBytes - this.#filledBytes, bytes.length - position);
      this.#append(bytes.subarray(position, position + count));
      position += count;
      if (this.#filledBytes === this.#totalBytes) this.#advance();
    }
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filledBytes + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = unwritten(Math.min(this.#totalBytes, Math.max(needed, 2 * this.#buffer.length)));
      larger.set(this.#buffer.subarray(0, this.#filledBytes));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#filledBytes);
    this.#filledBytes = needed;
  }

  #advance(): void {
    if (this.#stage === 'kind') {
      this.#totalBytes = this.#boundedLength();
      this.#stage = 'body';
      if (this.#totalBytes > this.#filledBytes) {
        const first =
          this.#buffers?.take(this.#totalBytes) ?? unwritten(Math.min(this.#totalBytes, FIRST_BUFFER_BYTES));
        first.set(this.#buffer.subarray(0, this.#filledBytes));
        this.#buffer = first;
        return;
      }
    }
    const message = this.#buffer.subarray(0, this.#filledBytes);
    this.#buffers?.lend(message);
    this.#buffer = new Uint8Array(LENGTH_BYTES + 1);
    this.#filledBytes = 0;
    this.#totalBytes = LENGTH_BYTES + 1;
    this.#stage = 'kind';
    this.#receive(message);
  }

  /** Whole length of the message whose length and id are in the buffer. */
  #boundedLength(): number {
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset);
    const length = view.getUint32(0);
    const id = this.#buffer[LENGTH_BYTES]!;
    const { min, max } = this.#boundsOf(id);
    if (length < min || length > max) {
      throw new DiskswarmError('PROTOCOL_ERROR', `a message of kind ${id} with ${length} bytes`, {
        data: { kind: id, lengthBytes: length, maxBytes: max },
      });
    }
    return LENGTH_BYTES + length;
  }

  #boundsOf(id: number): { min: number; max: number } {
    switch (id) {
      case MESSAGE_ID.choke:
      case MESSAGE_ID.unchoke:
      case MESSAGE_ID.interested:
      case MESSAGE_ID.notInterested:
        return { min: 1, max: 1 };
      case MESSAGE_ID.request:
      case MESSAGE_ID.cancel:
      case MESSAGE_ID.reject:
        return { min: 13, max: 13 };
      case MESSAGE_ID.piece: {
        const whole = PIECE_PREFIX_BYTES + this.#chunkSizeBytes;
        return { min: whole, max: whole };
      }
      case MESSAGE_ID.extended:
        return { min: EXTENSION_PREFIX_BYTES, max: EXTENSION_PREFIX_BYTES + MAX_EXTENSION_BYTES };
      default:
        throw new DiskswarmError('PROTOCOL_ERROR', `a message of unknown kind ${id}`, { data: { kind: id } });
    }
  }
}

/** An array that is not zeroed first: every byte is written before it is handed on. */
function unwritten(lengthBytes: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer);
}
