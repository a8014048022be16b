/**
 * The line between the old hosts and the new one: shaped, so that copying and fetching on demand can be compared.
 *
 * With root and iproute2 it is a veth pair between two network namespaces with a token bucket each way.
 * Without them the agents' own --download-limit holds the same rate on loopback. Nothing outside the two namespaces changes.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** 20 Mbit/s: the line of a hotel. */
export const LINE_BYTES_PER_SECOND = 2_500_000;
const STEP_MS = 10_000;

/** Where hosts of one side run and listen. */
export interface Side {
  readonly prefix: readonly string[];
  readonly listen: string;
  readonly agentArgs: readonly string[];
}

export interface Link {
  /** The side of tracker, home and office. */
  readonly old: Side;
  /** The side of hosts that come new. */
  readonly new: Side;
  /** What holds the rate on the way back to an old host: arguments of its agent, and of `vm migrate`. */
  readonly back: { readonly agentArgs: readonly string[]; readonly migrateArgs: readonly string[] };
  /** How it is shaped, in words. */
  readonly words: string;
  /** Takes it down. Idempotent. */
  close(): Promise<void>;
}

/** Makes the best line that this machine and user allow. */
export async function openLink(): Promise<Link> {
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    try {
      return await shapedLink();
    } catch {
      // No iproute2, or a container without the right to make networks: the agents' limits do.
    }
  }
  return limitedLink();
}

function limitedLink(): Link {
  const side = { prefix: [], listen: '127.0.0.1:0', agentArgs: [] };
  const agentArgs = ['--download-limit', String(LINE_BYTES_PER_SECOND)];
  return {
    old: side,
    new: { ...side, agentArgs },
    back: { agentArgs, migrateArgs: ['--bandwidth', String(LINE_BYTES_PER_SECOND)] },
    words: "20 Mbit/s, held by the agent's own --download-limit (network namespaces would need root)",
    close: async () => {},
  };
}

async function shapedLink(): Promise<Link> {
  const near = `diskswarm-${process.pid}-new`;
  const far = `diskswarm-${process.pid}-old`;
  const close = async (): Promise<void> => {
    for (const name of [near, far]) await ip('netns', 'del', name).catch(() => {}); // Not made, or gone already.
  };
  try {
    for (const name of [near, far]) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip('-n', far, 'link', 'add', 'line', 'type', 'veth', 'peer', 'name', 'line', 'netns', near);
    for (const [name, address] of [
      [far, '10.0.0.1/24'],
      [near, '10.0.0.2/24'],
    ] as const) {
      await ip('-n', name, 'address', 'add', address, 'dev', 'line');
      await ip('-n', name, 'link', 'set', 'line', 'up');
    }
    const rate = `${(LINE_BYTES_PER_SECOND * 8) / 1_000_000}mbit`;
    const bucket = ['root', 'tbf', 'rate', rate, 'burst', '32kb', 'latency', '50ms'];
    for (const name of [near, far])
      await run('tc', ['-n', name, 'qdisc', 'add', 'dev', 'line', ...bucket], { timeout: STEP_MS });
    await run('ip', ['netns', 'exec', near, 'true'], { timeout: STEP_MS });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    old: { prefix: ['ip', 'netns', 'exec', far], listen: '10.0.0.1:0', agentArgs: [] },
    new: { prefix: ['ip', 'netns', 'exec', near], listen: '10.0.0.2:0', agentArgs: [] },
    back: { agentArgs: [], migrateArgs: [] },
    words: '20 Mbit/s: a shaped line between two network namespaces (tc tbf, made as root)',
    close,
  };
}

function ip(...args: string[]): Promise<unknown> {
  return run('ip', args, { timeout: STEP_MS });
}
