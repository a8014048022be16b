import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { encodeStreamMessage, MAX_STREAM_DATA_BYTES, type StreamMessage, StreamMessageReader } from '../src/index.ts';

const message: fc.Arbitrary<StreamMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    label: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' }),
  }),
  fc.record({ kind: fc.constant('data' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }) }),
  fc.record({ kind: fc.constant('credit' as const), bytes: fc.nat(1 << 26) }),
  fc.constant({ kind: 'end' as const }),
  fc.constant({ kind: 'reset' as const }),
);

/** Data as one run of bytes between the other messages, however it was cut. */
function gathered(messages: readonly StreamMessage[]): unknown[] {
  const all: unknown[] = [];
  for (const each of messages) {
    const last = all.at(-1);
    if (each.kind !== 'data') all.push({ ...each });
    else if (Array.isArray(last)) last.push(...each.bytes);
    else all.push([...each.bytes]);
  }
  return all;
}

test('messages come out as they went in, however the stream is cut', (t) => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), fc.integer({ min: 1, max: 50 }), (messages, step) => {
      const bytes = Buffer.concat(messages.flatMap((each) => encodeStreamMessage(each)));
      const heard: StreamMessage[] = [];
      const reader = new StreamMessageReader((each) =>
        heard.push(each.kind === 'data' ? { ...each, bytes: each.bytes.slice() } : each),
      );
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
      t.deepEqual(gathered(heard), gathered(messages));
    }),
  );
});

test('garbage is PROTOCOL_ERROR or nothing, and a declared length gathers nothing', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new StreamMessageReader(() => {}).push(bytes);
      } catch (error) {
        t.true(error instanceof DiskswarmError && error.code === 'PROTOCOL_ERROR');
      }
    }),
  );
  const tooLong = encodeStreamMessage({ kind: 'data', bytes: new Uint8Array(MAX_STREAM_DATA_BYTES + 1) })[0]!;
  t.throws(() => new StreamMessageReader(() => {}).push(tooLong), { code: 'PROTOCOL_ERROR' });
});
