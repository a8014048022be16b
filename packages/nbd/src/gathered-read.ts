/**
 * One READ answered by a simple reply that is not at hand, or longer than a piece: all of it is read before the header leaves.
 *
 * The header and the data of a simple reply are one run of bytes with no way to report an error inside, so nothing else may be
 * sent between them and nothing may wait between them.
 */
import type { AcknowledgerContext } from './acknowledger.ts';
import { SIMPLE_REPLY_BYTES } from './constants.ts';
import { type Failure, failureOf } from './failure.ts';
import { PIECE_DATA_BYTES } from './limits.ts';
import { givePiece, type Piece, takePiece } from './piece-pool.ts';
import { replyFailure, writeSimpleHeader } from './replies.ts';

interface Part {
  readonly piece: Piece;
  readonly usedBytes: number;
}

/** Reads the range and replies; the bytes count as in flight until then. */
export function readGathered(
  context: AcknowledgerContext,
  high: number,
  low: number,
  offsetBytes: number,
  lengthBytes: number,
): void {
  const { backing, inFlight, outbox } = context;
  const parts: Part[] = [];
  const waits: Promise<void>[] = [];
  let failure: Failure | null = null;
  const fail = (error: unknown): void => {
    context.report(error);
    failure ??= failureOf(error);
  };
  for (
    let from = offsetBytes, room = SIMPLE_REPLY_BYTES;
    from < offsetBytes + lengthBytes && failure === null;
    room = 0
  ) {
    const bytes = Math.min(offsetBytes + lengthBytes - from, PIECE_DATA_BYTES);
    const piece = takePiece();
    parts.push({ piece, usedBytes: room + bytes });
    const data = piece.bytes.subarray(room, room + bytes);
    try {
      if (!backing.readSync(from, data)) waits.push(backing.read(from, data, { signal: inFlight.signal }).catch(fail));
    } catch (error) {
      fail(error);
    }
    from += bytes;
  }
  const finish = (): void => {
    if (failure !== null) {
      for (const part of parts) givePiece(part.piece);
      replyFailure(outbox, false, high, low, failure);
      return;
    }
    writeSimpleHeader(parts[0]!.piece.view, 0, 0, high, low);
    for (const part of parts) outbox.sendPiece(part.piece, part.usedBytes);
  };
  if (waits.length === 0) {
    finish();
    return;
  }
  inFlight.enter(lengthBytes);
  void Promise.all(waits).then(() => {
    finish();
    inFlight.leave(lengthBytes);
  });
}
