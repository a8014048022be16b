/**
 * What nbdkit's log filter wrote, as a trace: anybody's disk can be recorded by putting nbdkit with that filter between it and its guest.
 *
 * The trace begins when the guest connected. Trimmed ranges become zeros; what failed, and what never ended, is left out.
 */
import type { TraceRequest } from './trace.ts';

const STAMP = String.raw`^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{6}) connection=(\d+) `;
const CONNECT = new RegExp(`${STAMP}Connect `);
const BEGIN = new RegExp(
  `${STAMP}(Read|Write|Zero|Trim|Flush) id=(\\d+)(?: offset=0x([0-9a-f]+) count=0x([0-9a-f]+))?`,
);
const END = new RegExp(`${STAMP}\\.\\.\\.\\w+ id=(\\d+) return=(-?\\d+)`);
const OPERATIONS: Readonly<Record<string, TraceRequest['operation']>> = {
  Read: 'read',
  Write: 'write',
  Zero: 'zero',
  Trim: 'zero',
  Flush: 'flush',
};

/** The requests of all connections in such a log, in the order in which they began. */
export function requestsOfLog(log: string): readonly TraceRequest[] {
  let startUs: number | null = null;
  const begun = new Map<string, Omit<TraceRequest, 'tookUs'>>();
  const requests: TraceRequest[] = [];
  for (const line of log.split('\n')) {
    const connect = CONNECT.exec(line);
    if (connect !== null) startUs ??= microseconds(connect);
    const begin = BEGIN.exec(line);
    if (begin !== null) {
      const [, , , , connection, name = '', id, offset = '0', count = '0'] = begin;
      startUs ??= microseconds(begin);
      begun.set(`${connection} ${id}`, {
        ...{ atUs: microseconds(begin) - startUs, operation: OPERATIONS[name]! },
        ...{ offsetBytes: Number.parseInt(offset, 16), lengthBytes: Number.parseInt(count, 16) },
      });
    }
    const end = END.exec(line);
    const request = end === null ? undefined : begun.get(`${end[4]} ${end[5]}`);
    if (end === null || request === undefined) continue;
    begun.delete(`${end[4]} ${end[5]}`);
    if (end[6] === '0') requests.push({ ...request, tookUs: microseconds(end) - (startUs ?? 0) - request.atUs });
  }
  return requests.sort((left, right) => left.atUs - right.atUs);
}

/** Of a line's time, which is local and says no zone: only differences mean something. */
function microseconds([, date, time, fraction]: RegExpExecArray): number {
  return Date.parse(`${date}T${time}Z`) * 1000 + Number(fraction);
}
