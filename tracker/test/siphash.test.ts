/** The keyed hash against the values its authors published, and what connection ids are worth. */
import type { Clock } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import test from 'ava';
import { ConnectionIds } from '../src/connection-ids.ts';
import { SipHash } from '../src/siphash.ts';

const KEY = Uint8Array.from({ length: 16 }, (_, index) => index);
const hex = (hash: SipHash): string => [hash.high, hash.low].map((half) => half.toString(16).padStart(8, '0')).join('');

// From the reference implementation's vectors: input 00 01 02 … of each length.
for (const [length, expected] of [
  [0, '726fdb47dd0e0e31'],
  [1, '74f839c593dc67fd'],
  [8, '93f5f5799a932462'],
  [15, 'a129ca6149be45e5'],
] as const) {
  test(`SipHash-2-4 of ${length} bytes`, (t) => {
    const hash = new SipHash(KEY);
    hash.hash(Uint8Array.from({ length }, (_, index) => index));
    t.is(hex(hash), expected);
    const shifted = Uint8Array.from({ length: length + 5 }, (_, index) => index - 3);
    hash.hash(shifted, 3, length);
    t.is(hex(hash), expected);
  });
}

test('a connection id holds for its address and two minutes, whatever stands in it', (t) => {
  let seconds = 3600 * 24 * 30;
  const clock = { nowUs: () => seconds * 1e6 } as Clock;
  const ids = new ConnectionIds(clock, systemRandom);
  const four = Uint8Array.of(10, 0, 0, 1);
  const six = Uint8Array.from({ length: 16 }, (_, index) => index);
  for (const address of [four, six]) {
    const { high, low } = ids.issue(address);
    const other = address.map((byte, index) => (index === 3 ? byte ^ 1 : byte));
    t.true(ids.holds(address, high, low));
    t.false(ids.holds(other, high, low));
    t.false(ids.holds(address, high, (low ^ 1) >>> 0));
    t.false(ids.holds(address, (high ^ 1) >>> 0, low));
    t.false(ids.holds(address, (high ^ 0x01000000) >>> 0, low));
    t.false(new ConnectionIds(clock, systemRandom).holds(address, high, low));
    seconds += 120;
    t.true(ids.holds(address, high, low));
    seconds += 60;
    t.false(ids.holds(address, high, low));
    seconds += 256 * 60 - 180;
    t.false(ids.holds(address, high, low), 'the minute comes round again, the id does not');
  }
  t.false(ids.holds(four, 0x417, 0x27101980));
});
