/**
 * A foreign NBD server (nbdkit) for a raw image, which notes every read.
 *
 * It lives as long as its standard input is open, so it cannot outlast the test.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { requireTool } from '../src/tools.ts';

export interface NbdServer {
  readonly uri: string;
  /** How many reads there were, their bytes, and how many different 64 KiB pieces they touched. */
  reads(): Promise<{ count: number; bytes: number; pieces: number }>;
  stop(): Promise<void>;
}

/** Serves `image` on a Unix socket of its own; `logFile` receives a line per request. */
export async function serve(image: string, logFile: string): Promise<NbdServer> {
  const run = 'echo "$unixsocket"; exec cat > /dev/null';
  const args = ['-U', '-', '--filter=log', 'file', image, `logfile=${logFile}`, '--run', run];
  const child = spawn(requireTool('nbdkit'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'close');
  const [line] = (await Promise.race([once(child.stdout, 'data'), exited])) as unknown[];
  if (!(line instanceof Uint8Array)) throw new Error('nbdkit did not start');
  const socket = Buffer.from(line).toString().trim();
  return {
    uri: `nbd+unix:///?socket=${encodeURIComponent(socket)}`,
    reads: async () => countReads(await readFile(logFile, 'utf8')),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

function countReads(log: string): { count: number; bytes: number; pieces: number } {
  const pieces = new Set<number>();
  let count = 0;
  let bytes = 0;
  for (const match of log.matchAll(/ Read id=\d+ offset=(0x[\da-f]+) count=(0x[\da-f]+) /g)) {
    const [offset, length] = [Number(match[1]), Number(match[2])];
    count += 1;
    bytes += length;
    for (let at = Math.floor(offset / 65536); at * 65536 < offset + length; at++) pieces.add(at);
  }
  return { count, bytes, pieces: pieces.size };
}
