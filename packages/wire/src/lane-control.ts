/**
 * Channel 0 of a lane: which disks the two hosts share on which channel, and whether the lane lives.
 *
 * Each message is a canonical record behind a two-byte length. The side that dialled opens channels; the other can only
 * offer. A tag proves knowledge of one disk's swarm secret over the lane's binding, so who lacks the secret learns nothing.
 */
import { type Canonical, DiskswarmError, decodeCanonical, encodeCanonical, RecordReader } from '@diskswarm/core';
import { MAX_CONTROL_BYTES } from './limits.ts';

/** Bytes of a tag, which is a lane proof of one disk. */
export const TAG_BYTES = 32;

export type LaneControl =
  /** "I hold the disk of this tag": the dialling side may open it. */
  | { readonly kind: 'offer'; readonly tag: Uint8Array }
  /** Opens a disk on a channel of both lanes. */
  | { readonly kind: 'open'; readonly channel: number; readonly tag: Uint8Array }
  | { readonly kind: 'opened'; readonly channel: number; readonly tag: Uint8Array }
  /** The disk is not here, or not for you: the same answer. */
  | { readonly kind: 'refused'; readonly channel: number }
  /** The sender uses the channel no more. */
  | { readonly kind: 'shut'; readonly channel: number }
  | { readonly kind: 'ping'; readonly nonce: number }
  | { readonly kind: 'pong'; readonly nonce: number };

/** Bytes of a message, length included. */
export function encodeLaneControl(message: LaneControl): Uint8Array {
  const fields: Record<string, Canonical> = { kind: message.kind };
  if ('channel' in message) fields.channel = message.channel;
  if ('tag' in message) fields.tag = message.tag;
  if ('nonce' in message) fields.nonce = message.nonce;
  const body = encodeCanonical(fields);
  const bytes = new Uint8Array(2 + body.length);
  bytes[0] = body.length >> 8;
  bytes[1] = body.length & 0xff;
  bytes.set(body, 2);
  return bytes;
}

/** Cuts channel 0 into messages; holds at most one. */
export class LaneControlReader {
  readonly #receive: (message: LaneControl) => void;
  readonly #buffer = new Uint8Array(2 + MAX_CONTROL_BYTES);
  #filledBytes = 0;

  constructor(receive: (message: LaneControl) => void) {
    this.#receive = receive;
  }

  /** Consumes `bytes`; throws PROTOCOL_ERROR or FORMAT_INVALID, after which the lane cannot go on. */
  push(bytes: Uint8Array): void {
    for (let position = 0; position < bytes.length; ) {
      const wanted = this.#filledBytes < 2 ? 2 : this.#messageBytes();
      const count = Math.min(wanted - this.#filledBytes, bytes.length - position);
      this.#buffer.set(bytes.subarray(position, position + count), this.#filledBytes);
      this.#filledBytes += count;
      position += count;
      if (this.#filledBytes >= 2 && this.#filledBytes === this.#messageBytes()) {
        const body = this.#buffer.slice(2, this.#filledBytes);
        this.#filledBytes = 0;
        this.#receive(decodeLaneControl(body));
      }
    }
  }

  #messageBytes(): number {
    const length = (this.#buffer[0]! << 8) | this.#buffer[1]!;
    if (length === 0 || length > MAX_CONTROL_BYTES) {
      throw new DiskswarmError('PROTOCOL_ERROR', `a control message of ${length} bytes`, {
        data: { lengthBytes: length },
      });
    }
    return 2 + length;
  }
}

function decodeLaneControl(body: Uint8Array): LaneControl {
  const what = 'lane control message';
  const fields = new RecordReader(decodeCanonical(body, { maxBytes: MAX_CONTROL_BYTES, what }), what, [
    'kind',
    'channel',
    'tag',
    'nonce',
  ]);
  const kind = fields.text('kind', 16);
  const channel = (): number => fields.integer('channel', 1, 0xffff);
  const tag = (): Uint8Array => fields.bytes('tag', { length: TAG_BYTES });
  const nonce = (): number => fields.integer('nonce', 0, Number.MAX_SAFE_INTEGER);
  switch (kind) {
    case 'offer':
      return { kind, tag: tag() };
    case 'open':
    case 'opened':
      return { kind, channel: channel(), tag: tag() };
    case 'refused':
    case 'shut':
      return { kind, channel: channel() };
    case 'ping':
    case 'pong':
      return { kind, nonce: nonce() };
    default:
      throw new DiskswarmError('FORMAT_INVALID', `${what}: unknown kind`, { data: { kind } });
  }
}
