/**
 * Changes of the table as the journal has them: a record is any number of them, one behind the other.
 *
 * change: kind u8, info hash (20 bytes), then by kind
 *   1 joined, 2 joined as a seeder, 3 left:  peer of 6 bytes (IPv4)
 *   5, 6, 7 the same:                        peer of 18 bytes (IPv6)
 *   8 completed:                             how often, u32 little-endian
 * A later change of the same peer takes the place of an earlier one, so playing a change twice does no harm.
 */
import { COMPACT_V4_BYTES, COMPACT_V6_BYTES, INFO_HASH_BYTES } from '@diskswarm/announce';
import { DiskswarmError, toHex } from '@diskswarm/core';
import type { Change } from './swarm-table.ts';

const JOINED = 1;
const SEEDING = 2;
const LEFT = 3;
const IPV6 = 4;
const COMPLETED = 8;

export const LARGEST_CHANGE_BYTES = 1 + INFO_HASH_BYTES + COMPACT_V6_BYTES;

/** Writes a change into `target` at `at`, which has room for LARGEST_CHANGE_BYTES; returns how many bytes. */
export function encodeChange(change: Change, target: Buffer, at: number): number {
  target.write(change.infoHash, at + 1, 'hex');
  const body = at + 1 + INFO_HASH_BYTES;
  if (change.kind === 'completed') {
    target[at] = COMPLETED;
    return target.writeUInt32LE(change.count, body) - at;
  }
  const kind = change.kind === 'left' ? LEFT : change.seeder ? SEEDING : JOINED;
  target[at] = change.peer.length === COMPACT_V4_BYTES ? kind : kind + IPV6;
  target.set(change.peer, body);
  return body + change.peer.length - at;
}

/** The changes of a record; FORMAT_INVALID at the first that is none. Peers are views. */
export function* decodeChanges(record: Uint8Array): Generator<Change> {
  for (let at = 0; at < record.length; ) {
    const kind = record[at] as number;
    const body = at + 1 + INFO_HASH_BYTES;
    const six = kind > IPV6 && kind < COMPLETED;
    const end = body + (kind === COMPLETED ? 4 : six ? COMPACT_V6_BYTES : COMPACT_V4_BYTES);
    const plain = six ? kind - IPV6 : kind;
    if (end > record.length || (kind !== COMPLETED && (plain < JOINED || plain > LEFT))) throw malformed();
    const infoHash = toHex(record.subarray(at + 1, body));
    const peer = record.subarray(body, end);
    if (kind === COMPLETED) {
      const count = new DataView(record.buffer, record.byteOffset + body, 4).getUint32(0, true);
      yield { kind: 'completed', infoHash, count };
    } else if (plain === LEFT) {
      yield { kind: 'left', infoHash, peer };
    } else {
      yield { kind: 'joined', infoHash, peer, seeder: plain === SEEDING };
    }
    at = end;
  }
}

function malformed(): DiskswarmError {
  return new DiskswarmError('FORMAT_INVALID', "the tracker's journal: a malformed change", {
    data: { what: 'tracker journal' },
  });
}
