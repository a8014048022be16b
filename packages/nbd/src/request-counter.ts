/**
 * What clients asked of one export, over all its connections, since it was made: for monitors.
 *
 * Plain numbers raised on the request path; a request that the protocol refuses counts as refused and as nothing else. A backing
 * that fails counts where its error becomes a reply.
 */
import { COMMAND } from './constants.ts';

/** Kinds of requests; `zero` is WRITE_ZEROES. */
type RequestKind = 'read' | 'write' | 'flush' | 'trim' | 'zero' | 'cache' | 'status';

/** Counts at one moment. */
export interface RequestCounts {
  readonly requests: Readonly<Record<RequestKind, number>>;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Requests that break the protocol or the export's rules. */
  readonly refused: number;
  /** Errors of the backing that were answered. */
  readonly failed: number;
}

/** Nothing was asked yet. */
export const NO_REQUESTS: RequestCounts = {
  requests: { read: 0, write: 0, flush: 0, trim: 0, zero: 0, cache: 0, status: 0 },
  readBytes: 0,
  writtenBytes: 0,
  refused: 0,
  failed: 0,
};

const KIND_OF = new Map<number, RequestKind>([
  [COMMAND.read, 'read'],
  [COMMAND.write, 'write'],
  [COMMAND.flush, 'flush'],
  [COMMAND.trim, 'trim'],
  [COMMAND.writeZeroes, 'zero'],
  [COMMAND.cache, 'cache'],
  [COMMAND.blockStatus, 'status'],
]);
const COMMANDS = Math.max(...KIND_OF.keys()) + 1;

export class RequestCounter {
  readonly #byCommand = new Float64Array(COMMANDS);
  #readBytes = 0;
  #writtenBytes = 0;
  #refused = 0;
  #failed = 0;

  /** A request was accepted. */
  accepted(command: number, lengthBytes: number): void {
    this.#byCommand[command]!++;
    if (command === COMMAND.read) this.#readBytes += lengthBytes;
    else if (command === COMMAND.write) this.#writtenBytes += lengthBytes;
  }

  /** A request was refused for what it asked. */
  refused(): void {
    this.#refused++;
  }

  /** The backing answered with an error. */
  failed(): void {
    this.#failed++;
  }

  /** A copy of what was counted. */
  get counts(): RequestCounts {
    const requests = { ...NO_REQUESTS.requests };
    for (const [command, kind] of KIND_OF) requests[kind] = this.#byCommand[command]!;
    const { readBytes, writtenBytes } = { readBytes: this.#readBytes, writtenBytes: this.#writtenBytes };
    return { requests, readBytes, writtenBytes, refused: this.#refused, failed: this.#failed };
  }
}
