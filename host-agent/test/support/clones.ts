/** Templates and clones of the disks that `OneHost` makes, signed as the CLI signs them. */
import {
  createGenesis,
  createGrant,
  firstRoster,
  type Generation,
  publishTemplate,
  retireTemplate,
} from '@diskswarm/identity';
import type { cloneOf } from '../../src/agent/clone-disk.ts';
import type { ManagedDisk } from '../../src/agent/managed-disk.ts';
import type { OneHost } from './agent.ts';

/** Publishes a generation of the disk, the newest unless one is given. */
export async function publish(host: OneHost, generation: Generation = host.disk.records.head!): Promise<Generation> {
  const { genesis, owner } = host.records;
  const { list } = host.disk.templates;
  await host.disk.templates.change(publishTemplate({ genesis, list, generation, isPublic: false }, owner).bytes);
  return generation;
}

export async function retire(host: OneHost, generation: Generation): Promise<void> {
  const { genesis, owner } = host.records;
  const list = host.disk.templates.list!;
  await host.disk.templates.change(retireTemplate({ genesis, list, generation: generation.id }, owner).bytes);
}

/** What it takes to make a clone of the newest template that the host knows. */
export function wantedClone(
  host: OneHost,
  name: string,
  template: ManagedDisk = host.disk,
): Parameters<typeof cloneOf>[0] {
  const { owner, random } = host.records;
  const { hostId } = host.agent.env;
  const genesis = createGenesis(owner, template.records.genesis.chunkSizeBytes, random);
  const { roster } = firstRoster(genesis, hostId, owner, random);
  const epochs = [createGrant(genesis, hostId, owner).bytes];
  const records = { genesis: genesis.bytes, roster: roster.bytes, epochs };
  return { name, template, generation: template.templates.templateAt(null), records };
}

export function clone(host: OneHost, name: string, template: ManagedDisk = host.disk): Promise<ManagedDisk> {
  return host.agent.clone(wantedClone(host, name, template));
}
