/**
 * The data of options, parsed: INFO, GO, LIST_META_CONTEXT and SET_META_CONTEXT.
 *
 * Source: "Option types". Null means malformed (NBD_REP_ERR_INVALID): a length that leaves the data, bytes left over, a
 * string that is too long, not UTF-8, or holds NUL.
 */
import { MAX_STRING_BYTES } from './limits.ts';

export interface InfoRequest {
  readonly name: string;
  /** NBD_INFO types; unknown ones are kept and ignored. */
  readonly wanted: readonly number[];
}

export interface MetaContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A string of the protocol ("Conventions"). */
export function parseString(bytes: Uint8Array): string | null {
  if (bytes.length > MAX_STRING_BYTES || bytes.includes(0)) return null;
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function parseInfoRequest(data: Uint8Array): InfoRequest | null {
  const reader = new Reader(data);
  const name = reader.string();
  const count = reader.uint16();
  if (name === null || count === null || reader.left !== 2 * count) return null;
  return { name, wanted: Array.from({ length: count }, () => reader.uint16()!) };
}

export function parseMetaContextRequest(data: Uint8Array): MetaContextRequest | null {
  const reader = new Reader(data);
  const name = reader.string();
  const count = reader.uint32();
  if (name === null || count === null || reader.left < 4 * count) return null;
  const queries: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const query = reader.string();
    if (query === null || !query.includes(':')) return null;
    queries.push(query);
  }
  return reader.left === 0 ? { name, queries } : null;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint16(): number | null {
    if (this.left < 2) return null;
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2);
  }

  uint32(): number | null {
    if (this.left < 4) return null;
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  /** A 32-bit length and that many bytes. */
  string(): string | null {
    const length = this.uint32();
    if (length === null || length > this.left) return null;
    this.#at += length;
    return parseString(this.#bytes.subarray(this.#at - length, this.#at));
  }
}
