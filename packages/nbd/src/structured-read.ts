/**
 * One READ answered in structured chunks: pieces at hand leave at once, absent ones as they arrive, in any order.
 *
 * The chunk that completes the reply carries NBD_REPLY_FLAG_DONE. The first error stops the request: nothing of it is sent until
 * every outstanding piece has settled, then the error chunk ends it.
 */
import type { AcknowledgerContext } from './acknowledger.ts';
import { DATA_HEADER_BYTES } from './constants.ts';
import { type Failure, failureOf } from './failure.ts';
import { isHole } from './hole.ts';
import { PIECE_DATA_BYTES } from './limits.ts';
import { givePiece, type Piece, pieceOf, takePiece } from './piece-pool.ts';
import { replyFailure, replyHole, writeDataHeader } from './replies.ts';

/** Absent pieces up to this size get an array of their own size; longer ones a pooled piece. */
const MAX_OWN_BYTES = 64 * 1024;

export class StructuredRead {
  readonly #context: AcknowledgerContext;
  readonly #high: number;
  readonly #low: number;
  readonly #end: number;
  /** No hole chunks, and (the caller saw to it) a single piece. */
  readonly #df: boolean;
  #next: number;
  #waiting = 0;
  #failure: Failure | null = null;
  #finished = false;

  constructor(
    context: AcknowledgerContext,
    high: number,
    low: number,
    offsetBytes: number,
    lengthBytes: number,
    df: boolean,
  ) {
    this.#context = context;
    this.#high = high;
    this.#low = low;
    this.#next = offsetBytes;
    this.#end = offsetBytes + lengthBytes;
    this.#df = df;
  }

  /** Reads one piece or begins to; true when there is none left to begin. */
  step(): boolean {
    const from = this.#next;
    const stop = this.#df ? this.#end : Math.min(this.#end, from - (from % PIECE_DATA_BYTES) + PIECE_DATA_BYTES);
    const lengthBytes = stop - from;
    this.#next = stop;
    const { outbox, backing } = this.#context;
    const piece = outbox.reserve(DATA_HEADER_BYTES + lengthBytes);
    const at = outbox.position;
    const data = piece.bytes.subarray(at + DATA_HEADER_BYTES, at + DATA_HEADER_BYTES + lengthBytes);
    try {
      if (backing.readSync(from, data)) this.#readyInOutbox(piece, at, data, from);
      else this.#wait(from, lengthBytes);
    } catch (error) {
      this.#fail(error);
      this.#finishIfDone();
    }
    return this.#allBegun;
  }

  get #allBegun(): boolean {
    return this.#failure !== null || this.#next === this.#end;
  }

  /** True when nothing else of this reply can follow. */
  get #last(): boolean {
    return this.#allBegun && this.#waiting === 0;
  }

  #readyInOutbox(piece: Piece, at: number, data: Uint8Array, offsetBytes: number): void {
    const { outbox } = this.#context;
    if (!this.#df && isHole(data)) replyHole(outbox, this.#last, this.#high, this.#low, offsetBytes, data.length);
    else {
      writeDataHeader(piece.view, at, this.#last, this.#high, this.#low, offsetBytes, data.length);
      outbox.advance(DATA_HEADER_BYTES + data.length);
    }
    if (this.#last) this.#finished = true;
    if (data.length === PIECE_DATA_BYTES) outbox.flush();
  }

  #wait(offsetBytes: number, lengthBytes: number): void {
    const { backing, inFlight } = this.#context;
    const pooled = lengthBytes > MAX_OWN_BYTES;
    const piece = pooled ? takePiece() : pieceOf(Buffer.allocUnsafeSlow(DATA_HEADER_BYTES + lengthBytes));
    const data = piece.bytes.subarray(DATA_HEADER_BYTES, DATA_HEADER_BYTES + lengthBytes);
    const settled = backing.read(offsetBytes, data, { signal: inFlight.signal });
    this.#waiting += 1;
    inFlight.enter(lengthBytes);
    const leave = (): void => {
      this.#finishIfDone();
      inFlight.leave(lengthBytes);
    };
    settled.then(
      () => {
        this.#waiting -= 1;
        if (this.#failure === null) this.#send(piece, pooled, data, offsetBytes);
        else if (pooled) givePiece(piece);
        leave();
      },
      (error: unknown) => {
        this.#waiting -= 1;
        if (pooled) givePiece(piece);
        this.#fail(error);
        leave();
      },
    );
  }

  #send(piece: Piece, pooled: boolean, data: Uint8Array, offsetBytes: number): void {
    const { outbox } = this.#context;
    const done = this.#last;
    if (done) this.#finished = true;
    if (!this.#df && isHole(data)) {
      replyHole(outbox, done, this.#high, this.#low, offsetBytes, data.length);
      if (pooled) givePiece(piece);
      return;
    }
    writeDataHeader(piece.view, 0, done, this.#high, this.#low, offsetBytes, data.length);
    if (pooled) outbox.sendPiece(piece, DATA_HEADER_BYTES + data.length);
    else outbox.sendOwned(piece.bytes);
  }

  #fail(error: unknown): void {
    this.#context.report(error);
    this.#failure ??= failureOf(error);
  }

  #finishIfDone(): void {
    if (this.#finished || !this.#last || this.#failure === null) return;
    this.#finished = true;
    replyFailure(this.#context.outbox, true, this.#high, this.#low, this.#failure);
  }
}
