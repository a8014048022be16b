/**
 * The messages of a stream on the memory lane: open, data, credit, end, reset. One frame channel is one stream.
 *
 * Each message is [u8 kind][u32 length][payload]. Data is passed on as it comes, in views, without being gathered; everything else is tiny and bounded.
 * What the messages mean, and the credit that bounds data, is the stream's (swarm).
 */
import { DiskswarmError } from '@diskswarm/core';

/** Bytes of a stream's label. */
export const MAX_STREAM_LABEL_BYTES = 128;
/** Payload of one data message: with its header it fits a frame. */
export const MAX_STREAM_DATA_BYTES = 16 * 1024 - 5;
/** Most bytes that one credit message grants. */
export const MAX_STREAM_CREDIT_BYTES = 64 * 1024 * 1024;

const HEADER_BYTES = 5;
const KINDS = ['open', 'data', 'credit', 'end', 'reset'] as const;
const [OPEN, DATA, CREDIT] = [0, 1, 2];

export type StreamMessage =
  | { readonly kind: 'open'; readonly label: string }
  /** A view, valid during the call. */
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'credit'; readonly bytes: number }
  /** Nothing more comes from this side. */
  | { readonly kind: 'end' }
  /** The stream is over, both ways. */
  | { readonly kind: 'reset' };

/** Views of a message; data is not copied. */
export function encodeStreamMessage(message: StreamMessage): Uint8Array[] {
  const payload =
    message.kind === 'open'
      ? Buffer.from(message.label, 'latin1')
      : message.kind === 'data'
        ? message.bytes
        : message.kind === 'credit'
          ? u32(message.bytes)
          : new Uint8Array(0);
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = KINDS.indexOf(message.kind);
  header.set(u32(payload.length), 1);
  return payload.length === 0 ? [header] : [header, payload];
}

/** Cuts the bytes of one stream into messages; throws PROTOCOL_ERROR, after which the lane cannot go on. */
export class StreamMessageReader {
  readonly #receive: (message: StreamMessage) => void;
  readonly #buffer = new Uint8Array(HEADER_BYTES + MAX_STREAM_LABEL_BYTES);
  #filledBytes = 0;
  /** Of a data message that has begun. */
  #dataLeftBytes = 0;

  constructor(receive: (message: StreamMessage) => void) {
    this.#receive = receive;
  }

  push(bytes: Uint8Array): void {
    for (let position = 0; position < bytes.length; ) {
      if (this.#dataLeftBytes > 0) {
        const part = bytes.subarray(position, position + this.#dataLeftBytes);
        position += part.length;
        this.#dataLeftBytes -= part.length;
        this.#receive({ kind: 'data', bytes: part });
        continue;
      }
      const wanted = this.#filledBytes < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#payloadBytes();
      const part = bytes.subarray(position, position + wanted - this.#filledBytes);
      this.#buffer.set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      position += part.length;
      if (this.#filledBytes >= HEADER_BYTES) this.#look();
    }
  }

  /** The header is here, and perhaps the payload. */
  #look(): void {
    const lengthBytes = this.#payloadBytes();
    const kind = this.#buffer[0]!;
    if (kind === DATA) {
      this.#filledBytes = 0;
      this.#dataLeftBytes = lengthBytes;
      return;
    }
    if (this.#filledBytes < HEADER_BYTES + lengthBytes) return;
    const payload = this.#buffer.subarray(HEADER_BYTES, HEADER_BYTES + lengthBytes);
    this.#filledBytes = 0;
    if (kind === OPEN) this.#receive({ kind: 'open', label: Buffer.from(payload).toString('latin1') });
    else if (kind === CREDIT) this.#receive({ kind: 'credit', bytes: Buffer.from(payload).readUInt32BE() });
    else this.#receive({ kind: KINDS[kind] as 'end' | 'reset' });
  }

  #payloadBytes(): number {
    const lengthBytes = new DataView(this.#buffer.buffer).getUint32(1);
    const kind = this.#buffer[0]!;
    const bounds = [
      [1, MAX_STREAM_LABEL_BYTES],
      [1, MAX_STREAM_DATA_BYTES],
      [4, 4],
      [0, 0],
      [0, 0],
    ][kind];
    if (bounds === undefined || lengthBytes < bounds[0]! || lengthBytes > bounds[1]!)
      throw new DiskswarmError('PROTOCOL_ERROR', 'a malformed message on the memory lane', {
        data: { kind, lengthBytes },
      });
    return lengthBytes;
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
