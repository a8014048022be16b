/**
 * A slow, long line between two network namespaces of this run: real TCP over a modelled wire (relay.py).
 *
 * Needs root, iproute2, python3 and /dev/net/tun. Namespaces carry this process's id and end with `close`, and with them every
 * process that was started in them; nothing outside them changes. `removeLeftLines` takes away what a bench that was killed left.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram, run, type Service, serve } from '../programs.ts';

const RELAY = fileURLToPath(new URL('../../src/link/relay.py', import.meta.url));
/** The system's own: libnbd's bindings are installed for it. */
export const PYTHON = '/usr/bin/python3';
const NAMESPACES = '/run/netns';
const PREFIX = 'dsbench';
/** A guest's network device, the same name at both ends, because QEMU's arguments go along when it moves. */
export const GUEST_TAP = 'guest0';
export const GUEST_ADDRESS = '10.99.0.9';

/** What the line is like, the same in both directions unless `back` says otherwise. */
export interface LineOptions {
  readonly bitsPerSecond: number;
  /** One way. */
  readonly delayMs: number;
  /** What waits to be sent before packets are dropped. */
  readonly queueBytes: number;
  /** Of packets, 0 to 1. @default 0 */
  readonly lossShare?: number;
  /** The way to the far end, where it differs. */
  readonly back?: { readonly bitsPerSecond: number; readonly delayMs: number; readonly lossShare?: number };
  /** For losses. @default 1 */
  readonly seed?: number;
  /** An Ethernet with a bridge at each end, on which a guest's device waits: guests keep their connections when they move. @default false */
  readonly ethernet?: boolean;
  /**
   * Told up to four times a second how many bytes arrived at the near end and at the far end since the line is up, and how much later
   * than the model has it a packet came since it was told last, at most: a machine that is too slow makes another line.
   */
  readonly onBytes?: (near: number, far: number, lateMs: number) => void;
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

/** Makes the line. Bandwidth and delay are first of all those from far to near: a machine leaves the far end. */
export async function openLine(options: LineOptions): Promise<Line> {
  const names = [`${PREFIX}-${process.pid}-near`, `${PREFIX}-${process.pid}-far`] as const;
  const addresses = ['10.99.0.1', '10.99.0.2'] as const;
  let relay: Service | null = null;
  const close = async (): Promise<void> => {
    for (const name of names) endNamespace(name);
    await relay?.stop();
  };
  try {
    for (const name of names) await run(['ip', 'netns', 'add', name]);
    relay = await startRelay(names, options);
    for (const [index, name] of names.entries()) {
      const address = `${addresses[index]}/24`;
      await (options.ethernet === true ? bridgeEnd(name, address) : routeEnd(name, address));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const end = (index: 0 | 1): End => ({ prefix: ['ip', 'netns', 'exec', names[index]], address: addresses[index] });
  return { near: end(0), far: end(1), close };
}

function startRelay(names: readonly string[], options: LineOptions): Promise<Service> {
  const { queueBytes, back = options, seed = 1, ethernet, onBytes } = options;
  const shape = ({
    bitsPerSecond,
    delayMs,
    lossShare = 0,
  }: Pick<LineOptions, 'bitsPerSecond' | 'delayMs' | 'lossShare'>) =>
    [bitsPerSecond, delayMs, queueBytes, lossShare].map(String);
  const command = [
    PYTHON,
    RELAY,
    ...names,
    ethernet === true ? 'tap' : 'tun',
    String(seed),
    ...shape(back),
    ...shape(options),
  ];
  return serve(
    command,
    (line) => {
      const [, far, near, late] = /^bytes (\d+) (\d+) late (\d+\.\d)$/.exec(line) ?? [];
      if (near !== undefined) onBytes?.(Number(near), Number(far), Number(late));
      return line === 'ready';
    },
    { everyLine: true },
  );
}

async function routeEnd(name: string, address: string): Promise<void> {
  await run(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
  await run(['ip', '-n', name, 'address', 'add', address, 'dev', 'line']);
  await run(['ip', '-n', name, 'link', 'set', 'line', 'up', 'mtu', '1500']);
}

async function bridgeEnd(name: string, address: string): Promise<void> {
  const ip = (...words: string[]) => run(['ip', '-n', name, ...words]);
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', 'bridge0', 'type', 'bridge');
  await ip('tuntap', 'add', 'dev', GUEST_TAP, 'mode', 'tap');
  for (const device of ['line', GUEST_TAP]) {
    await ip('link', 'set', device, 'master', 'bridge0');
    await ip('link', 'set', device, 'up', 'mtu', '1500');
  }
  await ip('address', 'add', address, 'dev', 'bridge0');
  await ip('link', 'set', 'bridge0', 'up');
}

/** Removes a namespace, after the processes in it. Synchronous, so that an interrupt can still do it. */
function endNamespace(name: string): void {
  const ip = findProgram('ip') ?? 'ip';
  const pids = spawnSync(ip, ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  spawnSync(ip, ['netns', 'del', name], { stdio: 'ignore' }); // Not made, or gone already.
}

/** Takes down every line of this process. */
export function removeOwnLines(): void {
  for (const { name, pid } of namespaces()) if (pid === process.pid) endNamespace(name);
}

/** Takes down the lines of benches that do not run any more. */
export function removeLeftLines(): void {
  for (const { name, pid } of namespaces()) if (pid !== process.pid && !isAlive(pid)) endNamespace(name);
}

function namespaces(): { name: string; pid: number }[] {
  let names: string[] = [];
  try {
    names = readdirSync(NAMESPACES);
  } catch {
    // There was never one.
  }
  return names.flatMap((name) => {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    return pid === undefined ? [] : [{ name, pid: Number(pid) }];
  });
}

/** Whether there is such a process. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
