/**
 * READ: what is at hand goes straight into the reply buffer, the rest waits for the backing.
 *
 * Three ways: a read of one piece that `readSync` can fill (the fast path, no promise, no copy); a structured reply in
 * pieces, sent as they come; a simple reply of several pieces, which must be complete before its first byte leaves,
 * because an error can no longer be told afterwards. Long structured reads stop between pieces while the client is slow
 * (`suspended`). Source: "NBD_CMD_READ".
 */
import type { AcknowledgerContext } from './acknowledger.ts';
import { DATA_HEADER_BYTES, SIMPLE_REPLY_BYTES } from './constants.ts';
import { failureOf } from './failure.ts';
import { readGathered } from './gathered-read.ts';
import { isHole } from './hole.ts';
import { PIECE_DATA_BYTES } from './limits.ts';
import { replyFailure, replyHole, replyNone, replyOk, writeDataHeader, writeSimpleHeader } from './replies.ts';
import { StructuredRead } from './structured-read.ts';

export class Reads {
  readonly #context: AcknowledgerContext;
  readonly #maxUnsentBytes: number;
  #current: StructuredRead | null = null;

  constructor(context: AcknowledgerContext, maxUnsentBytes: number) {
    this.#context = context;
    this.#maxUnsentBytes = maxUnsentBytes;
  }

  /** A read was begun that goes on with `resume` once the client has taken its pieces. */
  get suspended(): boolean {
    return this.#current !== null;
  }

  /** Begins a read that was checked against the export. Not while one is suspended. */
  start(high: number, low: number, offsetBytes: number, lengthBytes: number, df: boolean): void {
    const { outbox, structured } = this.#context;
    if (lengthBytes === 0) {
      if (structured) replyNone(outbox, high, low);
      else replyOk(outbox, high, low);
      return;
    }
    if (lengthBytes <= PIECE_DATA_BYTES && this.#atOnce(high, low, offsetBytes, lengthBytes, df)) return;
    if (!structured) readGathered(this.#context, high, low, offsetBytes, lengthBytes);
    else {
      this.#current = new StructuredRead(this.#context, high, low, offsetBytes, lengthBytes, df);
      this.resume();
    }
  }

  /** Goes on with a suspended read as far as the client allows. */
  resume(): void {
    const { outbox } = this.#context;
    while (this.#current !== null && outbox.unsentBytes < this.#maxUnsentBytes) {
      if (this.#current.step()) this.#current = null;
    }
  }

  /** Gives a suspended read up. */
  close(): void {
    this.#current = null;
  }

  /** True when the request is answered; false leaves nothing behind. */
  #atOnce(high: number, low: number, offsetBytes: number, lengthBytes: number, df: boolean): boolean {
    const { outbox, backing, structured } = this.#context;
    const headerBytes = structured ? DATA_HEADER_BYTES : SIMPLE_REPLY_BYTES;
    const piece = outbox.reserve(headerBytes + lengthBytes);
    const at = outbox.position;
    const data = piece.bytes.subarray(at + headerBytes, at + headerBytes + lengthBytes);
    try {
      if (!backing.readSync(offsetBytes, data)) return false;
    } catch (error) {
      this.#context.report(error);
      replyFailure(outbox, structured, high, low, failureOf(error));
      return true;
    }
    if (!structured) writeSimpleHeader(piece.view, at, 0, high, low);
    else if (!df && isHole(data)) {
      replyHole(outbox, true, high, low, offsetBytes, lengthBytes);
      return true;
    } else writeDataHeader(piece.view, at, true, high, low, offsetBytes, lengthBytes);
    outbox.advance(headerBytes + lengthBytes);
    return true;
  }
}
