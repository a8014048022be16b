/**
 * Workloads that a guest serves over its network to a client at the end of the line where the machine moves to.
 *
 * The client is a program of its own (client.py) in the line's namespace. The guest keeps its address and its Ethernet address when it
 * moves, so that connections live on.
 */
import { fileURLToPath } from 'node:url';
import { GUEST_ADDRESS, PYTHON } from '../link/link.ts';
import { serve } from '../programs.ts';
import type { MoveWorkload, WorkloadContext } from './workload.ts';

const CLIENT = fileURLToPath(new URL('../../src/workloads/client.py', import.meta.url));
/** Of one answer of the client: what, when it was asked for, how long it took, how much came. */
const ANSWER = /^(ok|failed|stall|bytes) (\d+\.\d) (\d+\.\d) (\d+)$/;

function served(
  workload: Omit<MoveWorkload, 'begin' | 'kind'> & {
    service(settings: Readonly<Record<string, number>>): readonly (string | number)[];
    client(settings: Readonly<Record<string, number>>): readonly (string | number)[];
  },
): MoveWorkload {
  const { service, client, ...rest } = workload;
  return {
    ...rest,
    kind: 'move',
    async begin(context) {
      await context.guest.say('net', GUEST_ADDRESS);
      await context.guest.say(...service(context.settings));
      return startClient(context, client(context.settings));
    },
  };
}

async function startClient(
  { clientPrefix, seed, record }: WorkloadContext,
  [kind, ...settings]: readonly (string | number)[],
): Promise<() => Promise<void>> {
  const command = [...clientPrefix, PYTHON, CLIENT, GUEST_ADDRESS, String(kind), String(seed), ...settings.map(String)];
  const hear = (line: string): boolean => {
    const [, event, startedMs, tookMs, bytes] = ANSWER.exec(line) ?? [];
    if (event !== undefined) {
      const atMs = ownMs(Number(startedMs)) + Number(tookMs);
      record(event, atMs, { tookMs: Number(tookMs), bytes: Number(bytes) });
    }
    return line === 'ready';
  };
  const running = await serve(command, hear, { everyLine: true });
  return () => running.stop();
}

/** A time of CLOCK_MONOTONIC on this process's clock. */
function ownMs(monotonicMs: number): number {
  return performance.now() - (Number(process.hrtime.bigint()) / 1e6 - monotonicMs);
}

export const web = served({
  name: 'web',
  about: "static files from the guest's web server, 10 requests per second; each request is logged to its disk",
  settings: { 'per-second': { least: 1, most: 1000, otherwise: 10 } },
  steps: ['ok'],
  unit: 'requests answered',
  label: () => 'web server',
  diskMib: () => 1,
  service: () => ['web'],
  client: (settings) => ['files', settings['per-second']!],
});

export const board = served({
  name: 'board',
  about: 'posts to a bulletin board in bursts of 1 to 5; each is appended and fsynced',
  settings: { 'per-second': { least: 1, most: 100, otherwise: 3 } },
  steps: ['ok'],
  unit: 'posts answered',
  label: () => 'bulletin board',
  diskMib: () => 8,
  service: () => ['web'],
  client: (settings) => ['posts', settings['per-second']!],
});

export const film = served({
  name: 'film',
  about: 'a film streamed to a player with a buffer; it must not stall',
  settings: {
    'film-mib': { least: 1, most: 65_536, otherwise: 24 },
    'kib-per-second': { least: 16, most: 100_000, otherwise: 128 },
    'buffer-seconds': { least: 0, most: 120, otherwise: 2 },
  },
  steps: ['ok'],
  unit: 'seconds of film fetched',
  label: () => 'film',
  diskMib: (settings) => settings['film-mib']! + 1,
  service: (settings) => ['web', settings['film-mib']!],
  client: (settings) => ['film', settings['kib-per-second']!, settings['buffer-seconds']!, settings['film-mib']!],
});

export const flood = served({
  name: 'flood',
  about: 'sends to a client as fast as the network takes it (what iperf did)',
  settings: {},
  steps: ['bytes'],
  unit: 'bytes received by the client',
  label: () => 'network flood',
  diskMib: () => 0,
  service: () => ['flood'],
  client: () => ['flood'],
});
