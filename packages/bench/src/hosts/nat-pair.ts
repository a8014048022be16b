/**
 * Two agents of one roster that never met, each behind a NAT of its own: from both up to a proven session.
 *
 * The disk and its roster are made over loopback, by agents that stop again before anything is measured: what each then knows of the
 * other is its host id. Each start of an agent makes a new key for the DHT, so that nothing is found of earlier tries.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NatWorld, Place } from '@diskswarm/nat-world';
import { pause } from '../programs.ts';
import { check } from '../row.ts';
import { AgentHost } from './agent-host.ts';

const IMAGE_BYTES = 65536;
/** Between two looks. */
const LOOK_MS = 10;
const PATIENCE_MS = 60_000;

export interface Meeting {
  /** From when the later agent said that it is ready, until both have proven the other and share the disk. */
  readonly elapsedMs: number;
  /** Through the NATs, or by way of a third host. */
  readonly way: 'direct' | 'relay';
}

export interface NatTry {
  /** Empty. */
  readonly folder: string;
  readonly world: NatWorld;
  /** No other try has it. */
  readonly disk: string;
  /** A host of the same roster that both reach. */
  readonly keeper: AgentHost | null;
}

/** A try: two new hosts, one behind each of the first two NATs. */
export async function meetBehindNats({ folder, world, disk, keeper }: NatTry): Promise<Meeting> {
  const states = [join(folder, 'home'), join(folder, 'office')] as const;
  await prepare(folder, disk, states, keeper);
  const hosts = states.map((state, index) => hostAt(state, world, world.behind[index] as Place));
  const [home, office] = hosts as [AgentHost, AgentHost];
  await Promise.all(hosts.map((host) => host.start()));
  const ways = await Promise.all([wayTo(home, office), wayTo(office, home)]);
  const elapsedMs = performance.now() - Math.max(home.readyMs, office.readyMs);
  await Promise.all(hosts.map((host) => host.stop()));
  return { elapsedMs, way: ways.every((way) => way === 'direct') ? 'direct' : 'relay' };
}

/** An agent in the DHT, at its place. */
export function hostAt(stateDir: string, world: NatWorld, { prefix, address }: Place): AgentHost {
  return new AgentHost({ stateDir, prefix, listen: `${address}:0`, dht: world.bootstrap });
}

/** A disk with both hosts in its roster. */
async function prepare(
  folder: string,
  disk: string,
  states: readonly [string, string],
  keeper: AgentHost | null,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const image = join(folder, 'image.raw');
  await writeFile(image, new Uint8Array(IMAGE_BYTES).fill(1));
  const [home, office] = states.map((stateDir) => new AgentHost({ stateDir })) as [AgentHost, AgentHost];
  await Promise.all([home.start(), office.start()]);
  await home.import(image, disk);
  if (keeper !== null) await home.invite(keeper, disk);
  await home.invite(office, disk);
  // The keeper would hear of office from home; until then it met office with silence, ten seconds long.
  const { rosterBundle } = await home.call('disk.ownerView', { name: disk });
  if (keeper !== null) await keeper.call('disk.applyRoster', { name: disk, rosterBundle });
  await Promise.all([home.stop(), office.stop()]);
}

/** Waits until `host` shares the disk with `other`; how they reach each other. */
async function wayTo(host: AgentHost, other: AgentHost): Promise<Meeting['way']> {
  const lastMs = performance.now() + PATIENCE_MS;
  while (performance.now() < lastMs) {
    const { peers } = await host.call('peer.ls', {});
    const peer = peers.find(({ hostId, disks }) => hostId === other.hostId && disks.length > 0);
    if (peer !== undefined) return peer.address.endsWith('.relay:1') ? 'relay' : 'direct';
    await pause(LOOK_MS);
  }
  check(false, 'the hosts did not meet');
}
