import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { MAX_MESSAGE_BYTES, QmpParser } from '../src/index.ts';

const MESSAGES = [
  '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}}}',
  '{"timestamp": {"seconds": 3, "microseconds": 7}, "event": "MIGRATION", "data": {"status": "active"}}',
  '{"return": {"text": "ümläut {\\"}"}, "id": 4}',
  '{"id": 5, "error": {"class": "CommandNotFound", "desc": "no"}}',
];

test('messages come out the same however the stream is cut', (t) => {
  const whole = Buffer.from(MESSAGES.map((message) => `${message}\r\n`).join(''));
  const expected = new QmpParser().push(whole);
  t.is(expected.length, MESSAGES.length);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 12 }), (cuts) => {
      const parser = new QmpParser();
      const places = [0, ...cuts.toSorted((left, right) => left - right), whole.length];
      const found = places.slice(1).flatMap((end, index) => parser.push(whole.subarray(places[index]!, end)));
      t.deepEqual(found, expected);
    }),
  );
});

test('garbage is a PROTOCOL_ERROR or nothing, never another error', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.json().map((text) => Buffer.from(`${text}\n`)),
      ),
      (bytes) => {
        try {
          new QmpParser().push(bytes);
        } catch (error) {
          t.true(error instanceof DiskswarmError && error.code === 'PROTOCOL_ERROR');
        }
      },
    ),
  );
});

test('an endless message ends at the bound', (t) => {
  const parser = new QmpParser();
  const part = Buffer.alloc(64 * 1024, 0x20);
  t.throws(
    () => {
      for (let sent = 0; sent <= MAX_MESSAGE_BYTES; sent += part.length) parser.push(part);
    },
    { code: 'PROTOCOL_ERROR' },
  );
});
