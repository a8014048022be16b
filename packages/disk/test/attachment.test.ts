/** The states of an attachment: every event in every one of them. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import {
  type Attachment,
  type AttachmentEvent,
  applyAttachment,
  assertReadable,
  assertWritable,
  attach,
} from '../src/attachment.ts';

const STATES: Attachment[] = [
  attach('read-only', 4),
  attach('incoming', 4),
  attach('writable', 4),
  { kind: 'held', epoch: 4 },
  { kind: 'fenced' },
];
const EVENTS: AttachmentEvent[] = [
  { type: 'accept', epoch: 4 },
  { type: 'accept', epoch: 5 },
  { type: 'hold' },
  { type: 'resume' },
  { type: 'fence' },
];
/** Rows are states, columns are events; a dash is ATTACHMENT_STATE. */
const TABLE = [
  ['-', '-', '-', '-', 'fenced'],
  ['writable', '-', '-', '-', 'fenced'],
  ['-', '-', 'held', 'writable', 'fenced'],
  ['-', '-', 'held', 'writable', 'fenced'],
  ['-', '-', '-', '-', 'fenced'],
];

for (const [row, state] of STATES.entries()) {
  for (const [column, event] of EVENTS.entries()) {
    const expected = TABLE[row]![column]!;
    test(`${state.kind} on ${event.type} ${'epoch' in event ? event.epoch : ''}: ${expected}`, (t) => {
      if (expected === '-') {
        t.true(
          hasCode(
            t.throws(() => applyAttachment(state, event)),
            'ATTACHMENT_STATE',
          ),
        );
        return;
      }
      const next = applyAttachment(state, event);
      t.is(next.kind, expected as Attachment['kind']);
      if ('epoch' in next) t.is(next.epoch, 4);
    });
  }
}

test('only writable writes, and fenced does not even read', (t) => {
  for (const state of STATES) {
    if (state.kind === 'writable') t.notThrows(() => assertWritable(state));
    else
      t.true(
        hasCode(
          t.throws(() => assertWritable(state)),
          'ATTACHMENT_STATE',
        ),
      );
    if (state.kind === 'fenced')
      t.true(
        hasCode(
          t.throws(() => assertReadable(state)),
          'ATTACHMENT_STATE',
        ),
      );
    else t.notThrows(() => assertReadable(state));
  }
});
