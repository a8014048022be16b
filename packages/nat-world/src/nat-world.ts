/**
 * An internet of its own: a public network, and hosts behind a NAT each, in network namespaces that go away with it.
 *
 *   public 45.10.20.1 ── bridge ┬─ NAT 45.10.20.2 ── 10.1.0.2
 *                               └─ NAT 45.10.20.3 ── 10.2.0.2
 *
 * A NAT is nftables masquerade; it drops what nobody inside asked for. `random`: a new port for each destination, which cannot be
 * punched from both sides. The addresses look public, because a DHT passes over others; nothing leaves the namespaces. Needs root,
 * iproute2 and nftables. Nothing of it outlives this process, unless that is killed.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What a NAT does with ports. */
export type NatKind = 'steady' | 'random';

/** A host in a network namespace. */
export interface Place {
  /** Command in front of a program that is to run there. */
  readonly prefix: readonly string[];
  /** Its own address there. */
  readonly address: string;
}

export interface NatWorld {
  /** A host that everybody reaches. */
  readonly open: Place;
  /** One host behind each NAT. */
  readonly behind: readonly Place[];
  /** HOST:PORT of nodes of a DHT on the public network. */
  readonly bootstrap: readonly string[];
  /** Takes it down, after the programs that were started there have ended. Idempotent. */
  close(): Promise<void>;
}

const PUBLIC = '45.10.20';
const NODES = fileURLToPath(new URL('../src/dht-nodes.ts', import.meta.url));
let made = 0;

/** Makes the networks, a NAT of each kind, and a DHT of ten nodes. */
export async function makeNatWorld(kinds: readonly NatKind[]): Promise<NatWorld> {
  made += 1;
  const prefix = `dswnat-${process.pid}-${made}`;
  const spaces: string[] = [];
  let nodes: ChildProcess | null = null;
  const end = (): void => {
    process.off('exit', end);
    nodes?.kill('SIGKILL');
    for (const space of spaces.splice(0)) spawnSync('ip', ['netns', 'del', space], { stdio: 'ignore' });
  };
  process.once('exit', end);
  const close = async (): Promise<void> => {
    const gone = nodes === null ? null : exited(nodes);
    end();
    await gone;
  };
  const add = (part: string): string => {
    const space = `${prefix}-${part}`;
    ip('netns', 'add', space);
    spaces.push(space);
    ip('-n', space, 'link', 'set', 'lo', 'up');
    return space;
  };
  try {
    const net = add('net');
    ip('-n', net, 'link', 'add', 'br0', 'type', 'bridge');
    address(net, 'br0', `${PUBLIC}.1/24`);
    const behind = kinds.map((kind, index) => hostBehind({ net, add, kind, index }));
    const open = { prefix: ['ip', 'netns', 'exec', net], address: `${PUBLIC}.1` };
    nodes = startNodes(open);
    return { open, behind, bootstrap: await addressesOf(nodes), close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Uplink {
  /** Namespace of the public network. */
  readonly net: string;
  /** Makes a namespace. */
  readonly add: (part: string) => string;
  readonly kind: NatKind;
  readonly index: number;
}

/** A NAT on the public network, and a host behind it. */
function hostBehind({ net, add, kind, index }: Uplink): Place {
  const [router, host] = [add(`nat${index}`), add(`host${index}`)];
  const inside = `10.${index + 1}.0`;
  ip('link', 'add', 'out', 'netns', router, 'type', 'veth', 'peer', 'name', `nat${index}`, 'netns', net);
  ip('link', 'add', 'in', 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host);
  ip('-n', net, 'link', 'set', `nat${index}`, 'master', 'br0', 'up');
  address(router, 'out', `${PUBLIC}.${index + 2}/24`);
  address(router, 'in', `${inside}.1/24`);
  address(host, 'eth0', `${inside}.2/24`);
  ip('-n', host, 'route', 'add', 'default', 'via', `${inside}.1`);
  const within = ['netns', 'exec', router];
  ip(...within, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  execFileSync('ip', [...within, 'nft', '-f', '-'], { input: rulesOf(kind) });
  return { prefix: ['ip', 'netns', 'exec', host], address: `${inside}.2` };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function address(space: string, device: string, cidr: string): void {
  ip('-n', space, 'addr', 'add', cidr, 'dev', device);
  ip('-n', space, 'link', 'set', device, 'up');
}

function rulesOf(kind: NatKind): string {
  return `table ip nat {
    chain out {
      type nat hook postrouting priority 100;
      oifname "out" masquerade ${kind === 'random' ? 'fully-random' : ''};
    }
    chain in {
      type filter hook input priority 0;
      iifname "out" drop;
    }
    chain through {
      type filter hook forward priority 0;
      iifname "out" ct state new drop;
    }
  }`;
}

/** Runs the nodes on the public network. */
function startNodes({ prefix, address: host }: Place): ChildProcess {
  const [program = '', ...args] = [...prefix, process.execPath, NODES, host];
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Their addresses, once they run. */
async function addressesOf(nodes: ChildProcess): Promise<string[]> {
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: nodes.stdout! }).once('line', resolve);
    nodes.once('error', reject);
    nodes.once('close', () => reject(new Error('the nodes of the DHT ended')));
  });
  return JSON.parse(line) as string[];
}

/** Resolves when the process is gone, also when it never was there. */
function exited(child: ChildProcess): Promise<unknown> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('close', resolve));
}
