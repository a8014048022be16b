/** What is durable of an attachment, so that a restarted agent opens the same export. Canonical; a missing `incoming` is an ordinary attachment. */
import {
  type Canonical,
  decodeCanonical,
  encodeCanonical,
  type GenerationId,
  idFromBytes,
  idToBytes,
  RecordReader,
} from '@diskswarm/core';
import type { Standing } from '@diskswarm/ownership';
import type { AttachmentSpec } from '../attachment/attachment.ts';

/** What is durable of an attachment. */
export interface AttachmentRecord {
  readonly socket: string;
  readonly readOnly: boolean;
  /** For a guest that is on its way here: takes writes once this host owns the disk. */
  readonly incoming: boolean;
  /** The generation of a read-only attachment. */
  readonly generation: GenerationId;
}

/** Its durable form. */
export function encodeRecord(record: AttachmentRecord): Uint8Array {
  return encodeCanonical({
    socket: record.socket,
    readOnly: record.readOnly ? 1 : 0,
    ...(record.incoming ? { incoming: 1 } : {}),
    generation: idToBytes(record.generation),
  } satisfies Canonical);
}

/** FORMAT_INVALID for what is no record. */
export function decodeRecord(bytes: Uint8Array): AttachmentRecord {
  const what = 'attachment record';
  const reader = new RecordReader(decodeCanonical(bytes, { maxBytes: 4096, what }), what, [
    'socket',
    'readOnly',
    'incoming',
    'generation',
  ]);
  return {
    socket: reader.text('socket', 1024),
    readOnly: reader.integer('readOnly', 0, 1) === 1,
    incoming: reader.has('incoming') && reader.integer('incoming', 0, 1) === 1,
    generation: idFromBytes<GenerationId>(reader.bytes('generation', { length: 32 })),
  };
}

/** What the export of such a record may do now. */
export function modeOf({ readOnly, incoming }: AttachmentRecord, standing: Standing): AttachmentSpec['mode'] {
  if (readOnly) return 'read-only';
  if (incoming) return 'incoming';
  return standing.state === 'held' ? 'held' : 'writable';
}
