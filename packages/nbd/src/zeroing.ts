/**
 * TRIM and WRITE_ZEROES: changes without a payload.
 *
 * Zeroing is a map record here, never data, so NBD_CMD_FLAG_FAST_ZERO is always granted: it is as fast without data as it claims.
 */
import type { Acknowledger, AcknowledgerContext } from './acknowledger.ts';
import { COMMAND, COMMAND_FLAG } from './constants.ts';
import { type Failure, failureOf } from './failure.ts';
import { replyFailure } from './replies.ts';

/** Runs a request that was checked. */
export function zero(
  context: AcknowledgerContext,
  acknowledger: Acknowledger,
  command: number,
  flags: number,
  high: number,
  low: number,
  offsetBytes: number,
  lengthBytes: number,
): void {
  const { backing, inFlight, outbox, structured } = context;
  // The smallest write for the gate: there is no payload, however long the range.
  const payloadBytes = Math.min(1, lengthBytes);
  const reply = (failure: Failure | null): void => {
    if (failure !== null) replyFailure(outbox, structured, high, low, failure);
    else if ((flags & COMMAND_FLAG.fua) !== 0) acknowledger.durable(high, low, payloadBytes);
    else acknowledger.written(high, low, payloadBytes);
  };
  const fail = (error: unknown): void => {
    context.report(error);
    reply(failureOf(error));
  };
  if (lengthBytes === 0) {
    reply(null);
    return;
  }
  acknowledger.touched();
  let settled: void | Promise<void>;
  try {
    settled =
      command === COMMAND.trim
        ? backing.trim(offsetBytes, lengthBytes)
        : backing.writeZeroes(offsetBytes, lengthBytes, { keepAllocated: (flags & COMMAND_FLAG.noHole) !== 0 });
  } catch (error) {
    fail(error);
    return;
  }
  if (settled === undefined) {
    reply(null);
    return;
  }
  inFlight.enter(0);
  settled
    .then(() => {
      acknowledger.touched();
      reply(null);
    }, fail)
    .finally(() => inFlight.leave(0));
}
