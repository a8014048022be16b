/**
 * A roster that is shown in a lane's handshake, before the host that shows it is let in.
 *
 * Of two hosts the one that was away longer may not know the other: its roster is older, and whoever brought the newer one may be off by
 * now. The other shows it then, so that both can meet. A roster is the owner's word: who brings it does not matter, and it is sent only to
 * hosts that it admits. On the wire: u32 length, then the roster. Judging it is left to the disk's membership.
 */
import { blake3, type DiskId, DiskswarmError, type HostId } from '@diskswarm/core';
import { MAX_ROSTER_BYTES, type SwarmSecret } from '@diskswarm/identity';
import { ROSTER_MARK_BYTES } from '@diskswarm/wire';
import type { DiskMembership } from './ports.ts';

/** The rosters of this host, as handshakes use them. */
export interface RosterExchange {
  /** Ours. */
  bundle(disk: DiskId): Uint8Array;
  /** Checks and keeps theirs; resolves when a newer one is durable, rejects where it does not verify. */
  take(disk: DiskId, bundle: Uint8Array): Promise<void>;
  /** Whether a host that our roster does not know, and that proved this secret, may show us another one. */
  mayShow(host: HostId, disk: DiskId, secret: SwarmSecret): boolean;
}

const LENGTH_BYTES = 4;

/**
 * The rosters of these memberships, for hosts that are not `shunned`. Nobody shows one by an earlier secret: who has that alone was revoked,
 * for all we know, and a host that was invited later has ours or a newer one.
 */
export function rosterExchange(
  memberships: ReadonlyMap<DiskId, DiskMembership>,
  shunned: (host: HostId) => boolean,
): RosterExchange {
  const of = (disk: DiskId): DiskMembership => {
    const membership = memberships.get(disk);
    if (membership === undefined)
      throw new DiskswarmError('PEER_UNREACHABLE', `disk ${disk} is not shared here any more`, { data: { disk } });
    return membership;
  };
  return {
    bundle: (disk) => of(disk).rosterBundle(),
    take: async (disk, bundle) => of(disk).takeRoster(bundle),
    mayShow: (host, disk, secret) => {
      const current = memberships.get(disk)?.secrets()[0];
      return !shunned(host) && current !== undefined && Buffer.compare(current, secret) === 0;
    },
  };
}

/** Tells one roster from another without sending it. */
export function rosterMark(bundle: Uint8Array): Uint8Array {
  return blake3(bundle).slice(0, ROSTER_MARK_BYTES);
}

/** A roster as it goes over the wire. */
export function encodeLetter(bundle: Uint8Array): Uint8Array {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bundle.length);
  return Buffer.concat([length, bundle]);
}

/** Collects a roster that arrives in pieces: what came is kept, not what was declared. */
export class LetterReader {
  #kept = Buffer.alloc(0);
  #lengthBytes = 0;

  /** Takes bytes as they come; the roster, with what came behind it, once it is whole. PROTOCOL_ERROR for one that is too long. */
  push(bytes: Uint8Array): { bundle: Uint8Array; rest: Uint8Array } | null {
    const end = this.#lengthBytes + bytes.length;
    if (end > this.#kept.length) this.#kept = Buffer.concat([this.#kept], Math.max(end, 2 * this.#kept.length));
    this.#kept.set(bytes, this.#lengthBytes);
    this.#lengthBytes = end;
    if (end < LENGTH_BYTES) return null;
    const until = LENGTH_BYTES + this.#kept.readUInt32BE(0);
    if (until === LENGTH_BYTES || until > LENGTH_BYTES + MAX_ROSTER_BYTES)
      throw new DiskswarmError('PROTOCOL_ERROR', 'a roster of a wrong length was shown');
    if (end < until) return null;
    return { bundle: this.#kept.subarray(LENGTH_BYTES, until), rest: this.#kept.subarray(until, end) };
  }
}
