/**
 * What deltas and compression saved on the way to the destination since the migration began, over all its disks.
 *
 * A channel counts from when it was opened, so each is counted from where it was found; one that was renewed in between begins at nothing.
 */
import type { HostId } from '@diskswarm/core';
import type { PackingTotals } from '@diskswarm/swarm';

type Disk = { readonly peers: { link(host: HostId): { readonly channel: Channel } | undefined } };
type Channel = { readonly packing: { readonly sent: PackingTotals } };
type Count = PackingTotals['deltas'];

const NO_COUNT: Count = { count: 0, bytes: 0, savedBytes: 0 };
const NOTHING: PackingTotals = { deltas: NO_COUNT, compression: NO_COUNT };

export class PackedTraffic {
  readonly #to: HostId;
  readonly #seen = new Map<Disk, { channel: Channel | undefined; totals: PackingTotals }>();
  #totals = NOTHING;

  /** Counts from now on. */
  constructor(to: HostId, disks: readonly Disk[]) {
    this.#to = to;
    for (const disk of disks) {
      const channel = disk.peers.link(to)?.channel;
      this.#seen.set(disk, { channel, totals: channel?.packing.sent ?? NOTHING });
    }
  }

  /** So far. */
  totals(): PackingTotals {
    for (const [disk, seen] of this.#seen) {
      const channel = disk.peers.link(this.#to)?.channel ?? seen.channel;
      for (const each of new Set([seen.channel, channel])) {
        if (each === undefined) continue;
        const now = each.packing.sent;
        const before = each === seen.channel ? seen.totals : NOTHING;
        this.#totals = grown(this.#totals, before, now);
        seen.totals = now;
      }
      seen.channel = channel;
    }
    return this.#totals;
  }
}

function grown(sum: PackingTotals, before: PackingTotals, now: PackingTotals): PackingTotals {
  const each = (kind: keyof PackingTotals): Count => ({
    count: sum[kind].count + now[kind].count - before[kind].count,
    bytes: sum[kind].bytes + now[kind].bytes - before[kind].bytes,
    savedBytes: sum[kind].savedBytes + now[kind].savedBytes - before[kind].savedBytes,
  });
  return { deltas: each('deltas'), compression: each('compression') };
}
