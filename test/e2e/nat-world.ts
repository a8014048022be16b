/**
 * An internet of its own: a public network, and hosts behind a NAT each, in network namespaces that go away with the test.
 *
 *   public 45.10.20.1 ── bridge ┬─ NAT 45.10.20.2 ── 10.1.0.2
 *                               └─ NAT 45.10.20.3 ── 10.2.0.2
 *
 * A NAT is nftables masquerade; it drops what nobody inside asked for. `random`: a new port for each destination, which cannot be
 * punched from both sides. The addresses look public, because a DHT passes over others; nothing leaves the namespaces. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

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
}

const PUBLIC = '45.10.20';
const NODES = fileURLToPath(new URL('dht-nodes.ts', import.meta.url));
let made = 0;

/** Makes the networks, a NAT of each kind, and a DHT of ten nodes. */
export async function makeNatWorld(t: ExecutionContext, kinds: readonly NatKind[]): Promise<NatWorld> {
  made += 1;
  const name = (part: string): string => `dswnat-${process.pid}-${made}-${part}`;
  const spaces: string[] = [];
  t.teardown(() => {
    for (const space of spaces) execFileSync('ip', ['netns', 'del', space]);
  });
  const add = (part: string): string => {
    const space = name(part);
    ip('netns', 'add', space);
    spaces.push(space);
    ip('-n', space, 'link', 'set', 'lo', 'up');
    return space;
  };
  const net = add('net');
  ip('-n', net, 'link', 'add', 'br0', 'type', 'bridge');
  address(net, 'br0', `${PUBLIC}.1/24`);
  const behind = kinds.map((kind, index): Place => {
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
  });
  const open = { prefix: ['ip', 'netns', 'exec', net], address: `${PUBLIC}.1` };
  return { open, behind, bootstrap: await startNodes(t, open) };
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

/** Runs the nodes on the public network; their addresses. */
async function startNodes(t: ExecutionContext, { prefix, address: host }: Place): Promise<string[]> {
  const command = [...prefix, process.execPath, NODES, host];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('close', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('close', () => reject(new Error('the nodes of the DHT ended')));
  });
  return JSON.parse(line) as string[];
}
