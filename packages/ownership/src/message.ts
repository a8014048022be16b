/**
 * What two hosts say to each other about the ownership of one disk, encoded canonically.
 *
 * Signed records travel as their bytes and are opened by whoever handles the message, who has the genesis, chain and roster;
 * a message itself is unsigned, because the session already knows which host speaks. Lost, repeated and reordered messages
 * are harmless: the state machines see to that. Framing and sending are left to the wire.
 */
import {
  type Canonical,
  type DiskId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  type GenerationId,
  idFromBytes,
  idToBytes,
  RecordReader,
} from '@diskswarm/core';
import { cutText, MAX_GENERATION_BYTES, MAX_RECORD_BYTES, MAX_TEMPLATES_BYTES, NONCE_BYTES } from '@diskswarm/identity';

/** Largest encoded message, in bytes. */
export const MAX_OWNERSHIP_MESSAGE_BYTES = 8192;
const MAX_TEXT_BYTES = 512;

interface OfDisk {
  readonly disk: DiskId;
}
/** "Hand the disk to me": to the owner, from a host that wants it. `nonce` (16 bytes) comes back with a refusal. */
export interface Ask extends OfDisk {
  readonly kind: 'ask';
  readonly nonce: Uint8Array;
}
/** The answer to an ask or a receipt request that will not be fulfilled. `code` is a stable error code. */
export interface Refused extends OfDisk {
  readonly kind: 'refused';
  readonly nonce: Uint8Array;
  readonly code: string;
  readonly message: string;
}
/** The relinquish record and the record of the final generation. Sent again on every reconnection until a verdict came. */
export interface RelinquishMessage extends OfDisk {
  readonly kind: 'relinquish';
  readonly record: Uint8Array;
  readonly generation: Uint8Array;
}
/** The destination's acceptance or refusal. */
export interface VerdictMessage extends OfDisk {
  readonly kind: 'verdict';
  readonly record: Uint8Array;
}
/** "Are you complete through this generation, and will you pin it?" */
export interface ReceiptRequest extends OfDisk {
  readonly kind: 'receiptRequest';
  readonly generation: GenerationId;
  readonly nonce: Uint8Array;
}
/** A receipt for such a request. */
export interface ReceiptMessage extends OfDisk {
  readonly kind: 'receipt';
  readonly record: Uint8Array;
}
/** The owner lets a keeper drop its pins. */
export interface ReleaseMessage extends OfDisk {
  readonly kind: 'release';
  readonly record: Uint8Array;
}

/** An epoch record that the other host may lack. One that follows another is sent after it. */
export interface EpochMessage extends OfDisk {
  readonly kind: 'epoch';
  readonly record: Uint8Array;
}

/** The owner's list of the disk's templates. */
export interface TemplatesMessage extends OfDisk {
  readonly kind: 'templates';
  readonly record: Uint8Array;
}

/** Every message of ownership. */
export type OwnershipMessage =
  | Ask
  | Refused
  | RelinquishMessage
  | VerdictMessage
  | ReceiptRequest
  | ReceiptMessage
  | ReleaseMessage
  | EpochMessage
  | TemplatesMessage;

const FIELDS: { readonly [kind in OwnershipMessage['kind']]: readonly string[] } = {
  ask: ['nonce'],
  refused: ['nonce', 'code', 'message'],
  relinquish: ['record', 'generation'],
  verdict: ['record'],
  receiptRequest: ['generation', 'nonce'],
  receipt: ['record'],
  release: ['record'],
  epoch: ['record'],
  templates: ['record'],
};

/** Canonical bytes of a message; the text of a refusal is cut to 512 bytes. */
export function encodeOwnershipMessage(message: OwnershipMessage): Uint8Array {
  const { disk, ...rest } = message;
  const fields: { [key: string]: Canonical } = { ...rest, disk: idToBytes(disk) };
  if (message.kind === 'refused') fields.message = cutText(message.message, MAX_TEXT_BYTES);
  if (message.kind === 'receiptRequest') fields.generation = idToBytes(message.generation);
  return encodeCanonical(fields);
}

/** Parses a message (arrays are copies); FORMAT_INVALID on anything else. */
export function decodeOwnershipMessage(bytes: Uint8Array): OwnershipMessage {
  const what = 'ownership message';
  const value = decodeCanonical(bytes.slice(), { maxBytes: MAX_OWNERSHIP_MESSAGE_BYTES, what });
  const kind = new RecordReader(value, what, ['kind', 'disk', ...new Set(Object.values(FIELDS).flat())]).text(
    'kind',
    16,
  );
  if (!isKind(kind)) throw new DiskswarmError('FORMAT_INVALID', `${what}: of an unknown kind`, { data: { what } });
  const reader = new RecordReader(value, what, ['kind', 'disk', ...FIELDS[kind]]);
  const disk = idFromBytes<DiskId>(reader.bytes('disk', { length: 32 }));
  const nonce = (): Uint8Array => reader.bytes('nonce', { length: NONCE_BYTES });
  const record = (): Uint8Array => reader.bytes('record', { max: MAX_RECORD_BYTES });
  switch (kind) {
    case 'ask':
      return { kind, disk, nonce: nonce() };
    case 'refused':
      return {
        kind,
        disk,
        nonce: nonce(),
        code: reader.text('code', 64),
        message: reader.text('message', MAX_TEXT_BYTES),
      };
    case 'relinquish':
      return { kind, disk, record: record(), generation: reader.bytes('generation', { max: MAX_GENERATION_BYTES }) };
    case 'receiptRequest':
      return {
        kind,
        disk,
        generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })),
        nonce: nonce(),
      };
    case 'templates':
      return { kind, disk, record: reader.bytes('record', { max: MAX_TEMPLATES_BYTES }) };
    default:
      return { kind, disk, record: record() };
  }
}

function isKind(text: string): text is OwnershipMessage['kind'] {
  return Object.hasOwn(FIELDS, text);
}
