/**
 * The states of an attachment (design D6), as a pure function: who may read, who may write, and what can follow.
 *
 * The fence is here: only `writable` takes writes, `fenced` is final and serves nothing. Leaves to others: why an event
 * happens (hand-over), draining and closing connections, the files.
 */
import { DiskswarmError } from '@diskswarm/core';

export type Attachment =
  | { readonly kind: 'read-only' }
  /** Advertises writable, serves reads, refuses writes until this host accepted `epoch`. */
  | { readonly kind: 'incoming'; readonly epoch: number }
  | { readonly kind: 'writable'; readonly epoch: number }
  /** Drained and refusing writes while a hand-over is decided. */
  | { readonly kind: 'held'; readonly epoch: number }
  | { readonly kind: 'fenced' };

export type AttachmentEvent =
  /** The acceptance of `epoch` is durable here. */
  | { readonly type: 'accept'; readonly epoch: number }
  | { readonly type: 'hold' }
  /** The hand-over was given up before the relinquish, or refused by the destination. */
  | { readonly type: 'resume' }
  | { readonly type: 'fence' };

/** What an attachment starts as: `epoch` is the one this host owns, or hopes to own. */
export function attach(kind: 'read-only' | 'incoming' | 'writable', epoch: number): Attachment {
  return kind === 'read-only' ? { kind } : { kind, epoch };
}

/** The state after `event`; throws ATTACHMENT_STATE when the state forbids it. Fencing twice, and holding what is held, change nothing. */
export function applyAttachment(state: Attachment, event: AttachmentEvent): Attachment {
  if (event.type === 'fence') return { kind: 'fenced' };
  if (event.type === 'accept' && state.kind === 'incoming' && state.epoch === event.epoch) {
    return { kind: 'writable', epoch: event.epoch };
  }
  if (event.type === 'hold' && (state.kind === 'writable' || state.kind === 'held')) {
    return { kind: 'held', epoch: state.epoch };
  }
  if (event.type === 'resume' && (state.kind === 'held' || state.kind === 'writable')) {
    return { kind: 'writable', epoch: state.epoch };
  }
  throw new DiskswarmError('ATTACHMENT_STATE', `${describe(state)} cannot ${describeEvent(event)}`, {
    data: { state: state.kind, event: event.type },
  });
}

/** Throws ATTACHMENT_STATE unless the attachment takes writes. */
export function assertWritable(state: Attachment): void {
  if (state.kind === 'writable') return;
  throw new DiskswarmError('ATTACHMENT_STATE', `${describe(state)} takes no writes`, { data: { state: state.kind } });
}

/** Throws ATTACHMENT_STATE when the attachment is fenced. */
export function assertReadable(state: Attachment): void {
  if (state.kind !== 'fenced') return;
  throw new DiskswarmError('ATTACHMENT_STATE', 'the attachment is fenced: another host may own the disk now', {
    data: { state: state.kind },
  });
}

function describe(state: Attachment): string {
  return 'epoch' in state
    ? `an attachment that is ${state.kind} in epoch ${state.epoch}`
    : `a ${state.kind} attachment`;
}

function describeEvent(event: AttachmentEvent): string {
  return event.type === 'accept' ? `accept epoch ${event.epoch}` : event.type;
}
