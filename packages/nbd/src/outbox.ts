/**
 * Replies on their way to the client: gathered in one pooled piece, sent with one write per batch.
 *
 * Invariants: bytes leave in the order they were added; a piece goes back to the pool only when the output has handed
 * it over; after `close` nothing is sent and everything is still released.
 */
import { givePiece, PIECE_BYTES, type Piece, takePiece } from './piece-pool.ts';
import type { SessionOutput } from './ports.ts';

export class Outbox {
  /** Bytes the client has not taken; the session stops reading when they are too many. */
  unsentBytes = 0;
  readonly #output: SessionOutput;
  #piece: Piece | null = null;
  #used = 0;
  #waiting: Piece[] = [];
  #closed = false;

  constructor(output: SessionOutput) {
    this.#output = output;
  }

  /** The piece that has room for `lengthBytes` more at `position`; valid until the next call. */
  reserve(lengthBytes: number): Piece {
    if (this.#piece !== null && this.#used + lengthBytes > PIECE_BYTES) this.flush();
    if (this.#piece === null) this.#piece = takePiece();
    return this.#piece;
  }

  /** Where the next reply begins in the reserved piece. */
  get position(): number {
    return this.#used;
  }

  /** Adds what was written at `position`; without this call a reservation is void. */
  advance(lengthBytes: number): void {
    this.#used += lengthBytes;
  }

  /** Sends what was gathered. */
  flush(): void {
    const piece = this.#piece;
    if (piece === null) return;
    const used = this.#used;
    this.#piece = null;
    this.#used = 0;
    if (used === 0) givePiece(piece);
    else this.sendPiece(piece, used);
  }

  /** Sends the first bytes of a pooled piece and gives it back once it is out. Gathered replies go first. */
  sendPiece(piece: Piece, lengthBytes: number): void {
    if (this.#used > 0) this.flush();
    if (this.#closed || this.#output.send(piece.bytes.subarray(0, lengthBytes))) {
      givePiece(piece);
      return;
    }
    this.unsentBytes += lengthBytes;
    this.#waiting.push(piece);
  }

  /** Sends an array that nobody else uses. Gathered replies go first. */
  sendOwned(bytes: Uint8Array): void {
    if (this.#used > 0) this.flush();
    if (!this.#closed && !this.#output.send(bytes)) this.unsentBytes += bytes.length;
  }

  /** The output has handed over everything. */
  drained(): void {
    this.unsentBytes = 0;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const piece of waiting) givePiece(piece);
  }

  /** Drops what was not sent. The output may still read pieces it took, so those are left to the garbage collector. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.unsentBytes = 0;
    this.flush();
  }
}
