/** What a connection goes over, by its address. */
import test from 'ava';
import { type SourceKind, sourceKindOf } from '../src/agent/source-kind.ts';

const KINDS: readonly (readonly [string, SourceKind])[] = [
  ['127.0.0.1:6970', 'lan'],
  ['10.1.2.3:6970', 'lan'],
  ['172.16.0.1:1', 'lan'],
  ['172.31.255.1:1', 'lan'],
  ['172.32.0.1:1', 'wan'],
  ['192.168.178.20:6970', 'lan'],
  ['169.254.3.4:6970', 'lan'],
  ['[::1]:6970', 'lan'],
  ['[FE80::1%eth0]:6970', 'lan'],
  ['[fd12:3456::1]:6970', 'lan'],
  ['[::ffff:10.0.0.1]:6970', 'lan'],
  ['100.64.0.1:6970', 'wan'],
  ['203.0.113.9:6970', 'wan'],
  ['[2001:db8::1]:6970', 'wan'],
  ['10.example.org:6970', 'wan'],
  ['nonsense', 'wan'],
  [`${'ab'.repeat(32)}.dht:1`, 'dht'],
  [`${'ab'.repeat(68)}.relay:1`, 'relay'],
];

for (const [address, kind] of KINDS)
  test(`${address.slice(0, 40)} is ${kind}`, (t) => {
    t.is(sourceKindOf(address), kind);
  });

test('a connection that is gone is of the widest kind', (t) => {
  t.is(sourceKindOf(null), 'wan');
});
