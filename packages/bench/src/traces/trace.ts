/**
 * A recorded trace of a disk: which requests a guest made, when, and how long each took where it was recorded.
 *
 * As text, for people and their tools: a first line that names the format, then one line for each request in the order in which they
 * began: microseconds since the beginning, `read`, `write`, `zero` or `flush`, offset, length, microseconds that it took. Lines that begin with
 * "#" are for people. Files come from outside: everything is bounded and checked, and mistakes are told with their line.
 */
import { DiskswarmError } from '@diskswarm/core';

const HEAD = 'diskswarm-trace 1';
const OPERATIONS = ['read', 'write', 'zero', 'flush'] as const;
/** Of a file, which whoever reads it looks at first. */
export const MAX_TRACE_BYTES = 8 * 2 ** 20;
const MAX_REQUESTS = 50_000;
/** Of a request: what NBD servers take at most. */
const MAX_LENGTH_BYTES = 32 * 2 ** 20;
const LINE = /^(\d{1,12}) ([a-z]+) (\d{1,15}) (\d{1,10}) (\d{1,12})$/;

export interface TraceRequest {
  /** Since the beginning. */
  readonly atUs: number;
  readonly operation: (typeof OPERATIONS)[number];
  readonly offsetBytes: number;
  /** 0 for a flush, at least 1 otherwise. */
  readonly lengthBytes: number;
  readonly tookUs: number;
}

/** The requests in `text`; `place` is the file it came from. @throws DiskswarmError BAD_EXPERIMENT */
export function parseTrace(text: string, place: string): readonly TraceRequest[] {
  const requests: TraceRequest[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (index === 0 && line !== HEAD) refuse(place, 1, `a trace begins with "${HEAD}"`);
    if (index === 0 || line === '' || line.startsWith('#')) continue;
    if (requests.length === MAX_REQUESTS) refuse(place, index + 1, `a trace has at most ${MAX_REQUESTS} requests`);
    requests.push(parseLine(line, requests.at(-1)?.atUs ?? 0, (what) => refuse(place, index + 1, what)));
  }
  if (requests.length === 0) refuse(place, 1, 'there is no request in it');
  return requests;
}

/** The file of a trace. */
export function formatTrace(requests: readonly TraceRequest[], remarks: readonly string[]): string {
  const lines = requests.map(({ atUs, operation, offsetBytes, lengthBytes, tookUs }) =>
    [atUs, operation, offsetBytes, lengthBytes, tookUs].join(' '),
  );
  return [HEAD, ...remarks.map((remark) => `# ${remark}`), ...lines, ''].join('\n');
}

/** How large a disk has to be at least. */
export function reachOf(requests: readonly TraceRequest[]): number {
  return requests.reduce((most, { offsetBytes, lengthBytes }) => Math.max(most, offsetBytes + lengthBytes), 0);
}

function parseLine(line: string, leastUs: number, refuse: (what: string) => never): TraceRequest {
  const match = LINE.exec(line);
  if (match === null) return refuse('takes "MICROSECONDS OPERATION OFFSET LENGTH MICROSECONDS"');
  const operation = OPERATIONS.find((each) => each === match[2]);
  if (operation === undefined) return refuse(`"${match[2]}" is not one of ${OPERATIONS.join(', ')}`);
  const [atUs, offsetBytes, lengthBytes, tookUs] = [match[1], match[3], match[4], match[5]].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (atUs < leastUs) refuse('requests stand in the order in which they began');
  if (lengthBytes > MAX_LENGTH_BYTES) refuse(`a request is of at most ${MAX_LENGTH_BYTES} bytes`);
  if ((lengthBytes === 0) !== (operation === 'flush')) refuse('a flush has length 0, and nothing else has');
  return { atUs, operation, offsetBytes, lengthBytes, tookUs };
}

function refuse(place: string, line: number, what: string): never {
  throw new DiskswarmError('BAD_EXPERIMENT', `${place}, line ${line}: ${what}`, { data: { line } });
}
