/**
 * The reply messages of the transmission phase, written into buffers that are already there.
 *
 * Source: "Simple reply message", "Structured reply chunk message", "Structured reply types". A cookie is passed as its
 * two 32-bit halves. Success without payload is a simple reply even after structured replies were negotiated.
 */
import {
  DATA_HEADER_BYTES,
  MAGIC,
  REPLY_FLAG_DONE,
  REPLY_TYPE,
  SIMPLE_REPLY_BYTES,
  STRUCTURED_HEADER_BYTES,
} from './constants.ts';
import { type Failure, messageBytes } from './failure.ts';
import type { Outbox } from './outbox.ts';

const TWO_32 = 2 ** 32;

/** NBD_SIMPLE_REPLY_MAGIC, 16 bytes at `at`. */
export function writeSimpleHeader(view: DataView, at: number, errno: number, high: number, low: number): void {
  view.setUint32(at, MAGIC.simpleReply);
  view.setUint32(at + 4, errno);
  view.setUint32(at + 8, high);
  view.setUint32(at + 12, low);
}

/** The 20 bytes before a structured payload. */
export function writeStructuredHeader(
  view: DataView,
  at: number,
  done: boolean,
  type: number,
  high: number,
  low: number,
  payloadBytes: number,
): void {
  view.setUint32(at, MAGIC.structuredReply);
  view.setUint16(at + 4, done ? REPLY_FLAG_DONE : 0);
  view.setUint16(at + 6, type);
  view.setUint32(at + 8, high);
  view.setUint32(at + 12, low);
  view.setUint32(at + 16, payloadBytes);
}

/** Header and offset of NBD_REPLY_TYPE_OFFSET_DATA, 28 bytes at `at`; `dataBytes` of data follow. */
export function writeDataHeader(
  view: DataView,
  at: number,
  done: boolean,
  high: number,
  low: number,
  offsetBytes: number,
  dataBytes: number,
): void {
  writeStructuredHeader(view, at, done, REPLY_TYPE.offsetData, high, low, 8 + dataBytes);
  writeOffset(view, at + STRUCTURED_HEADER_BYTES, offsetBytes);
}

/** A whole reply without payload. */
export function replyOk(outbox: Outbox, high: number, low: number): void {
  const piece = outbox.reserve(SIMPLE_REPLY_BYTES);
  writeSimpleHeader(piece.view, outbox.position, 0, high, low);
  outbox.advance(SIMPLE_REPLY_BYTES);
}

/** NBD_REPLY_TYPE_NONE: the end of a structured reply. */
export function replyNone(outbox: Outbox, high: number, low: number): void {
  const piece = outbox.reserve(STRUCTURED_HEADER_BYTES);
  writeStructuredHeader(piece.view, outbox.position, true, REPLY_TYPE.none, high, low, 0);
  outbox.advance(STRUCTURED_HEADER_BYTES);
}

/** NBD_REPLY_TYPE_OFFSET_HOLE: `lengthBytes` zeros at `offsetBytes`. */
export function replyHole(
  outbox: Outbox,
  done: boolean,
  high: number,
  low: number,
  offsetBytes: number,
  lengthBytes: number,
): void {
  const piece = outbox.reserve(DATA_HEADER_BYTES + 4);
  const at = outbox.position;
  writeStructuredHeader(piece.view, at, done, REPLY_TYPE.offsetHole, high, low, 12);
  writeOffset(piece.view, at + STRUCTURED_HEADER_BYTES, offsetBytes);
  piece.view.setUint32(at + DATA_HEADER_BYTES, lengthBytes);
  outbox.advance(DATA_HEADER_BYTES + 4);
}

/** The final reply of a failed request: NBD_REPLY_TYPE_ERROR with a message, or a simple one. */
export function replyFailure(outbox: Outbox, structured: boolean, high: number, low: number, failure: Failure): void {
  if (!structured) {
    const piece = outbox.reserve(SIMPLE_REPLY_BYTES);
    writeSimpleHeader(piece.view, outbox.position, failure.errno, high, low);
    outbox.advance(SIMPLE_REPLY_BYTES);
    return;
  }
  const message = messageBytes(failure.message);
  const lengthBytes = STRUCTURED_HEADER_BYTES + 6 + message.length;
  const piece = outbox.reserve(lengthBytes);
  const at = outbox.position;
  writeStructuredHeader(piece.view, at, true, REPLY_TYPE.error, high, low, 6 + message.length);
  piece.view.setUint32(at + STRUCTURED_HEADER_BYTES, failure.errno);
  piece.view.setUint16(at + STRUCTURED_HEADER_BYTES + 4, message.length);
  piece.bytes.set(message, at + STRUCTURED_HEADER_BYTES + 6);
  outbox.advance(lengthBytes);
}

function writeOffset(view: DataView, at: number, offsetBytes: number): void {
  view.setUint32(at, Math.floor(offsetBytes / TWO_32));
  view.setUint32(at + 4, offsetBytes % TWO_32);
}
