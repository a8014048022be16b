/** The line protocol: noise is passed over, lines survive any cut, nothing grows without bound. */
import test from 'ava';
import fc from 'fast-check';
import { type GuestEvent, GuestProtocol, MAX_LINE_BYTES, parseGuestLine } from '../src/protocol.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

const parses = test.macro<[line: string, expected: GuestEvent | undefined]>({
  exec: (t, line, expected) => t.deepEqual(parseGuestLine(line), expected),
  title: (_, line) => `line: ${JSON.stringify(line)}`,
});

test(parses, 'DS-READY 2.87', { type: 'ready', uptimeSeconds: 2.87 });
test(parses, 'DS-READY soon', undefined);
test(parses, 'DS-READY', undefined);
test(parses, 'DS-FATAL cannot mount the disk\r', { type: 'fatal', reason: 'cannot mount the disk' });
test(parses, 'DS-OK @3 write a ff 1', { type: 'result', tag: 3, ok: true, words: ['write', 'a', 'ff', '1'] });
test(parses, 'DS-FAIL @12 read a 2', { type: 'result', tag: 12, ok: false, words: ['read', 'a', '2'] });
test(parses, 'DS-TICK 17 3.41', { type: 'tick', number: 17, uptimeSeconds: 3.41 });
test(parses, 'DS-TICK 17', undefined);
test(parses, 'DS-TICK 1.5 3.41', undefined);
test(parses, 'DS-WROTE 4', { type: 'wrote', number: 4 });
test(parses, 'DS-WROTE 4 5', undefined);
test(parses, 'DS-WROTE -4', undefined);
test(parses, 'DS-WROTE', undefined);
test(parses, 'DS-OK write a', undefined);
test(parses, 'DS-OK @-1 write', undefined);
test(parses, '[    0.1] EXT4-fs error DS-OK @1', undefined);
test(parses, '', undefined);

test('the same events come out however the bytes are cut, with noise between them', (t) => {
  const stream = bytes(
    '\x1b[2JSeaBIOS\r\n\nDS-READY 1.5\nnoise \xff\xfe\n\nDS-OK @1 check a 00\nDS-FAIL @2 read b 2\nDS-OK @3 cut',
  );
  const whole = new GuestProtocol().feed(stream);
  t.is(whole.length, 3);
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
      const protocol = new GuestProtocol();
      const bounds = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const events = bounds.slice(1).flatMap((end, index) => protocol.feed(stream.subarray(bounds[index], end)));
      return JSON.stringify(events) === JSON.stringify(whole);
    }),
  );
});

test('a line that is too long is dropped and the next one counts', (t) => {
  const protocol = new GuestProtocol();
  t.deepEqual(protocol.feed(bytes('DS-READY 1')), []);
  for (let fed = 0; fed <= MAX_LINE_BYTES; fed += 64) t.deepEqual(protocol.feed(bytes('0'.repeat(64))), []);
  t.deepEqual(protocol.feed(bytes('\nDS-READY 2\n')), [{ type: 'ready', uptimeSeconds: 2 }]);
});
