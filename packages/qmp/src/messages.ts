/**
 * The messages of QMP: a stream of bytes in, checked messages out. Pure.
 *
 * QEMU ends each message with a line break; messages arrive split and merged. What is no message, or is longer than MAX_MESSAGE_BYTES, is an error after
 * which the connection cannot go on.
 */
import { DiskswarmError } from '@diskswarm/core';

/** The longest message taken; `query-block` of a machine with many disks stays far below. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** What QEMU says first. */
export interface QmpGreeting {
  readonly kind: 'greeting';
  readonly version: { readonly major: number; readonly minor: number; readonly micro: number };
}

/** Something happened; `data` as QEMU's schema has it for `name`. */
export interface QmpEvent {
  readonly kind: 'event';
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** QEMU's wall clock, microseconds since 1970. */
  readonly timestampUs: number;
}

/** An answer to the command with this id. */
type QmpAnswer =
  | { readonly kind: 'return'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | null; readonly class: string; readonly description: string };

export type QmpMessage = QmpGreeting | QmpEvent | QmpAnswer;

const LINE_FEED = 0x0a;

/** Cuts a byte stream into messages. */
export class QmpParser {
  #parts: Uint8Array[] = [];
  #lengthBytes = 0;

  /** Takes the next bytes (copied where kept); returns the messages they complete. Throws PROTOCOL_ERROR. */
  push(bytes: Uint8Array): QmpMessage[] {
    const messages: QmpMessage[] = [];
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      this.#add(bytes.subarray(from, end));
      from = end + 1;
      const line = Buffer.concat(this.#parts).toString('utf8').trim();
      this.#parts = [];
      this.#lengthBytes = 0;
      if (line !== '') messages.push(parseMessage(line));
    }
    if (from < bytes.length) this.#add(bytes.slice(from));
    return messages;
  }

  #add(bytes: Uint8Array): void {
    this.#lengthBytes += bytes.length;
    if (this.#lengthBytes > MAX_MESSAGE_BYTES) throw broken(`a message of more than ${MAX_MESSAGE_BYTES} bytes`);
    this.#parts.push(bytes);
  }
}

function parseMessage(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw broken('what is no JSON', error);
  }
  if (!isRecord(value)) throw broken('what is no object');
  if ('QMP' in value) return greetingOf(value.QMP);
  if (typeof value.event === 'string') {
    const time = isRecord(value.timestamp) ? value.timestamp : {};
    const timestampUs = integerOf(time.seconds) * 1_000_000 + integerOf(time.microseconds);
    return { kind: 'event', name: value.event, data: isRecord(value.data) ? value.data : {}, timestampUs };
  }
  if ('return' in value && typeof value.id === 'number') return { kind: 'return', id: value.id, value: value.return };
  if (isRecord(value.error)) {
    const { class: name, desc } = value.error;
    const id = typeof value.id === 'number' ? value.id : null;
    return { kind: 'error', id, class: String(name), description: String(desc) };
  }
  throw broken('a message of an unknown kind');
}

function greetingOf(value: unknown): QmpGreeting {
  const version =
    isRecord(value) && isRecord(value.version) && isRecord(value.version.qemu) ? value.version.qemu : null;
  if (version === null) throw broken('a greeting without a version');
  const [major, minor, micro] = [version.major, version.minor, version.micro].map(integerOf);
  return { kind: 'greeting', version: { major: major!, minor: minor!, micro: micro! } };
}

function integerOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function broken(what: string, cause?: unknown): DiskswarmError {
  return new DiskswarmError('PROTOCOL_ERROR', `QEMU's monitor said ${what}`, { cause });
}
