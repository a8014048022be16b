/**
 * Replays a recorded trace on an NBD export, by a program of its own (replay.py): libnbd, with which many requests can be under way, has
 * no bindings for Node.
 */
import { fileURLToPath } from 'node:url';
import { PYTHON } from '../link/link.ts';
import { run } from '../programs.ts';
import { check } from '../row.ts';

const PLAYER = fileURLToPath(new URL('../../src/workloads/replay.py', import.meta.url));
const REQUEST = /^(read|write|zero|flush) (\d+\.\d) (\d+\.\d) (\d+)$/;

/** A request as it was done here. */
export interface PlayedRequest {
  readonly operation: string;
  /** When it ended, on this process's clock. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly bytes: number;
}

export interface PlayOptions {
  readonly uri: string;
  /** The file. */
  readonly trace: string;
  readonly limitMs: number;
  /** Without the guest's pauses. */
  readonly hurry: boolean;
}

/** Does all requests of the trace. Rejects when one fails, or all of them take longer than they may. */
export async function playTrace({ uri, trace, limitMs, hurry }: PlayOptions): Promise<readonly PlayedRequest[]> {
  const command = [PYTHON, PLAYER, uri, trace, ...(hurry ? ['hurry'] : [])];
  const { stdout } = await run(command, { timeoutMs: limitMs });
  check(stdout.endsWith('end\n'), 'the replay did not come to its end');
  // The player's clock is CLOCK_MONOTONIC.
  const offsetMs = performance.now() - Number(process.hrtime.bigint()) / 1e6;
  return stdout.split('\n').flatMap((line) => {
    const [, operation = '', startedMs, tookMs, bytes] = REQUEST.exec(line) ?? [];
    if (operation === '') return [];
    return [
      { operation, atMs: Number(startedMs) + Number(tookMs) + offsetMs, tookMs: Number(tookMs), bytes: Number(bytes) },
    ];
  });
}
