/**
 * BLOCK_STATUS: one chunk of extents for each context the client selected.
 *
 * Source: "NBD_REPLY_TYPE_BLOCK_STATUS". All contexts are asked before the first chunk is sent, so that an error is the
 * whole reply. `base:allocation` and `diskswarm:presence` are known; the ids below last for a connection.
 */
import type { StatusContext, StatusExtent } from '@diskswarm/core';
import type { AcknowledgerContext } from './acknowledger.ts';
import { ERRNO, REPLY_TYPE, STRUCTURED_HEADER_BYTES } from './constants.ts';
import { failureOf } from './failure.ts';
import { MAX_EXTENTS } from './limits.ts';
import { replyFailure, writeStructuredHeader } from './replies.ts';

/** Every metadata context of every export, with its id on the wire. */
export const CONTEXT_IDS: Readonly<Record<StatusContext, number>> = { 'base:allocation': 1, 'diskswarm:presence': 2 };

/** Answers one request; `one` asks for a single extent (NBD_CMD_FLAG_REQ_ONE). */
export function replyBlockStatus(
  context: AcknowledgerContext,
  contexts: readonly StatusContext[],
  high: number,
  low: number,
  offsetBytes: number,
  lengthBytes: number,
  one: boolean,
): void {
  const { backing, inFlight, outbox } = context;
  inFlight.enter(0);
  const maxExtents = one ? 1 : MAX_EXTENTS;
  const ask = async (name: StatusContext): Promise<StatusExtent[]> =>
    backing.status(offsetBytes, lengthBytes, name, maxExtents);
  Promise.all(contexts.map(ask)).then(
    (answers) => {
      if (answers.some((extents) => extents.length === 0)) {
        replyFailure(outbox, true, high, low, { errno: ERRNO.EIO, message: 'the disk reported no extent' });
      } else {
        answers.forEach((extents, index) => {
          const done = index === answers.length - 1;
          outbox.sendOwned(statusChunk(done, high, low, CONTEXT_IDS[contexts[index]!], extents.slice(0, maxExtents)));
        });
      }
      inFlight.leave(0);
    },
    (error: unknown) => {
      context.report(error);
      replyFailure(outbox, true, high, low, failureOf(error));
      inFlight.leave(0);
    },
  );
}

function statusChunk(
  done: boolean,
  high: number,
  low: number,
  id: number,
  extents: readonly StatusExtent[],
): Uint8Array {
  const payloadBytes = 4 + 8 * extents.length;
  const bytes = new Uint8Array(STRUCTURED_HEADER_BYTES + payloadBytes);
  const view = new DataView(bytes.buffer);
  writeStructuredHeader(view, 0, done, REPLY_TYPE.blockStatus, high, low, payloadBytes);
  view.setUint32(STRUCTURED_HEADER_BYTES, id);
  let at = STRUCTURED_HEADER_BYTES + 4;
  for (const extent of extents) {
    view.setUint32(at, extent.lengthBytes);
    view.setUint32(at + 4, extent.flags);
    at += 8;
  }
  return bytes;
}
