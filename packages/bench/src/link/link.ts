/**
 * A slow, long line between two network namespaces of this run: real TCP over a modelled wire (relay.py).
 *
 * Needs root, iproute2, python3 and /dev/net/tun. Namespaces carry this process's id and end with `close`; nothing outside
 * them changes.
 */
import { fileURLToPath } from 'node:url';
import { run, type Service, serve } from '../programs.ts';

const RELAY = fileURLToPath(new URL('./relay.py', import.meta.url));
/** The system's own: libnbd's bindings are installed for it. */
export const PYTHON = '/usr/bin/python3';

/** What the line is like, the same in both directions. */
export interface LineOptions {
  readonly bitsPerSecond: number;
  /** One way. */
  readonly delayMs: number;
  /** What waits to be sent before packets are dropped. */
  readonly queueBytes: number;
}

/** One end: how to run a program there, and its address. */
interface End {
  readonly prefix: readonly string[];
  readonly address: string;
}

export interface Line {
  readonly near: End;
  readonly far: End;
  /** Takes it down. Idempotent. */
  close(): Promise<void>;
}

/** Makes the line. */
export async function openLine({ bitsPerSecond, delayMs, queueBytes }: LineOptions): Promise<Line> {
  const names = [`dsbench-${process.pid}-near`, `dsbench-${process.pid}-far`] as const;
  const addresses = ['10.99.0.1', '10.99.0.2'] as const;
  let relay: Service | null = null;
  const close = async (): Promise<void> => {
    await relay?.stop();
    for (const name of names) await run(['ip', 'netns', 'del', name]).catch(() => {}); // Not made, or gone already.
  };
  try {
    for (const name of names) await run(['ip', 'netns', 'add', name]);
    const shape = [bitsPerSecond, delayMs, queueBytes].map(String);
    relay = await serve([PYTHON, RELAY, ...names, ...shape], (line) => line === 'ready');
    for (const [index, name] of names.entries()) {
      await run(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
      await run(['ip', '-n', name, 'address', 'add', `${addresses[index]}/24`, 'dev', 'line']);
      await run(['ip', '-n', name, 'link', 'set', 'line', 'up', 'mtu', '1500']);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const end = (index: 0 | 1): End => ({ prefix: ['ip', 'netns', 'exec', names[index]], address: addresses[index] });
  return { near: end(0), far: end(1), close };
}
