/** What a migration's record says of deltas and compression: since it began, over all disks and the channels they had meanwhile. */
import type { HostId } from '@diskswarm/core';
import type { PackingTotals } from '@diskswarm/swarm';
import test from 'ava';
import { PackedTraffic } from '../src/migration/packed-traffic.ts';

const to = 'host' as HostId;
const count = (of: number): PackingTotals['deltas'] => ({ count: of, bytes: 10 * of, savedBytes: 100 * of });
const totals = (deltas: number, compression: number): PackingTotals => ({
  deltas: count(deltas),
  compression: count(compression),
});

/** A disk whose channel to the destination a test puts in its place. */
class FakeDisk {
  channel: { packing: { sent: PackingTotals } } | null;

  constructor(deltas: number, compression: number) {
    this.channel = { packing: { sent: totals(deltas, compression) } };
  }

  readonly peers = { link: () => (this.channel === null ? undefined : { channel: this.channel }) };
}

test('what was sent before the migration does not count, what every disk sends does', (t) => {
  const disks = [new FakeDisk(5, 1), new FakeDisk(0, 0)];
  const traffic = new PackedTraffic(to, disks);
  t.deepEqual(traffic.totals(), totals(0, 0));
  disks[0]!.channel!.packing.sent = totals(7, 1);
  disks[1]!.channel!.packing.sent = totals(1, 3);
  t.deepEqual(traffic.totals(), totals(3, 3));
  t.deepEqual(traffic.totals(), totals(3, 3));
});

test('a channel that goes and one that comes both count', (t) => {
  const disk = new FakeDisk(2, 0);
  const traffic = new PackedTraffic(to, [disk]);
  const first = disk.channel!;
  disk.channel = null;
  first.packing.sent = totals(3, 0);
  t.deepEqual(traffic.totals(), totals(1, 0));
  first.packing.sent = totals(4, 0);
  disk.channel = { packing: { sent: totals(10, 1) } };
  t.deepEqual(traffic.totals(), totals(12, 1));
});
