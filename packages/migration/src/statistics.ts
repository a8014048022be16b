/**
 * What the destination of a migration tells of itself: which host its chunks came from, and how long its guest waited. Pure.
 *
 * Told in one message (message.ts) so that the source, where the operator looks, can show it. Bounded: of many sources the ones that gave most.
 */
import { type Canonical, type Decoded, DiskswarmError, type HostId, type RecordReader } from '@diskswarm/core';
import { hostFromBytes, hostToBytes } from '@diskswarm/identity';

/** Hosts that one message names. */
const MAX_STATISTICS_SOURCES = 16;

/** Chunk bytes that one host gave: those that a guest, or a QEMU that starts, waited for, and those that came ahead. */
export interface SourceBytes {
  readonly host: HostId;
  readonly faultBytes: number;
  readonly backgroundBytes: number;
}

/** How many reads of the guest waited for another host since it runs there, and how long: whole microseconds. */
export interface FaultCounts {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Since the migration began. */
export interface Statistics {
  /** The one that gave most first. */
  readonly sources: readonly SourceBytes[];
  readonly faults: FaultCounts;
  /** Of the newest generations of all disks, that the destination lacks. */
  readonly missingBytes: number;
}

/** Names of the fields in a message. */
export const STATISTICS_FIELDS: readonly string[] = ['sources', 'faults', 'missing'];

/** The fields of a message; sources beyond the bound are left out. */
export function statisticsFields({ sources, faults, missingBytes }: Statistics): {
  readonly [field: string]: Canonical;
} {
  const total = ({ faultBytes, backgroundBytes }: SourceBytes): number => faultBytes + backgroundBytes;
  const most = sources.toSorted((left, right) => total(right) - total(left)).slice(0, MAX_STATISTICS_SOURCES);
  return {
    sources: most.map(({ host, faultBytes, backgroundBytes }) => [hostToBytes(host), faultBytes, backgroundBytes]),
    faults: [faults.count, faults.p50, faults.p90, faults.p99, faults.max],
    missing: missingBytes,
  };
}

/** Reads them back; FORMAT_INVALID. */
export function readStatistics(reader: RecordReader, what: string): Statistics {
  const malformed = (): DiskswarmError => new DiskswarmError('FORMAT_INVALID', `${what}: malformed statistics`);
  const number = (value: Decoded | undefined): number => {
    if (typeof value !== 'number' || value < 0) throw malformed();
    return value;
  };
  const sources = reader.list('sources', MAX_STATISTICS_SOURCES).map((item): SourceBytes => {
    if (!Array.isArray(item) || item.length !== 3) throw malformed();
    const [host, faultBytes, backgroundBytes] = item;
    if (!(host instanceof Uint8Array) || host.length !== HOST_KEY_BYTES) throw malformed();
    return { host: hostFromBytes(host), faultBytes: number(faultBytes), backgroundBytes: number(backgroundBytes) };
  });
  const faults = reader.list('faults', FAULT_NUMBERS);
  if (faults.length !== FAULT_NUMBERS) throw malformed();
  const [count, p50, p90, p99, max] = faults;
  return {
    sources,
    faults: { count: number(count), p50: number(p50), p90: number(p90), p99: number(p99), max: number(max) },
    missingBytes: reader.integer('missing', 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Both public keys of a host. */
const HOST_KEY_BYTES = 64;
const FAULT_NUMBERS = 5;
