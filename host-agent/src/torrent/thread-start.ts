/** Starts a thread for torrents and speaks to it; a thread that ends by itself is told to its owner once. */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Handlers, PortCalls } from '../attachment/port-calls.ts';
import type { FetchThreadOptions, SeedThreadOptions } from './thread-protocol.ts';

/** Heap of a thread: a client's connections, and the table of a torrent's pieces. */
const MAX_TORRENT_HEAP_MIB = 512;
/** The same ending as this file's: sources run as .ts, the build as .js. */
const THREAD_FILE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'torrent-thread.ts' : 'torrent-thread.js', import.meta.url),
);

export interface TorrentThread<Remote extends Handlers> {
  readonly calls: PortCalls<Remote>;
  /** Ends it, whatever it does. Idempotent. */
  stop(): Promise<void>;
}

/** `ended` hears why, unless it was stopped. */
export function startThread<Remote extends Handlers>(
  options: SeedThreadOptions | FetchThreadOptions,
  local: Handlers,
  ended: (error: Error) => void,
): TorrentThread<Remote> {
  const worker = new Worker(THREAD_FILE, {
    workerData: options,
    resourceLimits: { maxOldGenerationSizeMb: MAX_TORRENT_HEAP_MIB },
  });
  const calls = new PortCalls<Remote>(worker, local);
  let over = false;
  const end = (error: Error): void => {
    calls.close();
    if (over) return;
    over = true;
    ended(error);
  };
  worker.on('error', (error) => end(error as Error));
  worker.on('exit', (code) => end(new Error(`the thread of torrents ended with ${code}`)));
  return {
    calls,
    stop: async () => {
      over = true;
      await worker.terminate();
    },
  };
}
