/**
 * Takes a lane's bytes apart: [u16 channel][u16 payload length - 1][payload], over and over.
 *
 * Payload is handed on as it arrives, because every channel is a byte stream of its own: nothing but a frame's
 * four-byte header is ever kept here. Who may use which channel is decided by the receiver.
 */
import { DiskswarmError } from '@diskswarm/core';
import { FRAME_HEADER_BYTES, MAX_FRAME_PAYLOAD_BYTES } from './limits.ts';

/** Receives payload; the view is only valid during the call. */
export type FrameReceiver = (channel: number, bytes: Uint8Array) => void;

export class FrameParser {
  readonly #receive: FrameReceiver;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #channel = 0;
  #remainingBytes = 0;

  constructor(receive: FrameReceiver) {
    this.#receive = receive;
  }

  /** Consumes `bytes`; throws PROTOCOL_ERROR when a frame is too large, after which the lane cannot go on. */
  push(bytes: Uint8Array): void {
    let position = 0;
    while (position < bytes.length) {
      if (this.#remainingBytes === 0) {
        position = this.#readHeader(bytes, position);
      } else {
        const end = Math.min(bytes.length, position + this.#remainingBytes);
        this.#remainingBytes -= end - position;
        this.#receive(this.#channel, bytes.subarray(position, end));
        position = end;
      }
    }
  }

  #readHeader(bytes: Uint8Array, start: number): number {
    let position = start;
    while (this.#headerBytes < FRAME_HEADER_BYTES && position < bytes.length) {
      this.#header[this.#headerBytes++] = bytes[position++]!;
    }
    if (this.#headerBytes < FRAME_HEADER_BYTES) return position;
    this.#headerBytes = 0;
    this.#channel = (this.#header[0]! << 8) | this.#header[1]!;
    this.#remainingBytes = ((this.#header[2]! << 8) | this.#header[3]!) + 1;
    if (this.#remainingBytes > MAX_FRAME_PAYLOAD_BYTES) {
      throw new DiskswarmError('PROTOCOL_ERROR', `a frame of ${this.#remainingBytes} bytes`, {
        data: { frameBytes: this.#remainingBytes, maxBytes: MAX_FRAME_PAYLOAD_BYTES },
      });
    }
    return position;
  }
}
