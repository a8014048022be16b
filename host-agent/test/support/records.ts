/** The records of a disk of one owner and three hosts, and a metadata table on a simulated machine to keep them in. */
import type { ChunkId, Storage } from '@diskswarm/core';
import {
  createGeneration,
  createGenesis,
  createGrant,
  createHostKeys,
  createOwner,
  createRoster,
  createSwarmSecret,
  type EpochChain,
  type Generation,
  type HostKeys,
  type Member,
  type Role,
} from '@diskswarm/identity';
import { SeededRandom } from '@diskswarm/sim';
import { DiskRecords } from '../../src/agent/disk-records.ts';
import { MetaTable } from '../../src/agent/meta-table.ts';

const CHUNK_BYTES = 16_384;

export function ownedDisk(seed: string) {
  const random = new SeededRandom(seed);
  const owner = createOwner(random);
  const [home, office, hotel] = [createHostKeys(random), createHostKeys(random), createHostKeys(random)];
  const genesis = createGenesis(owner, CHUNK_BYTES, random);
  const secret = createSwarmSecret(random);
  /** A roster with these hosts; `home` is always a writer. */
  const rosterOf = (sequence: number, others: Readonly<Record<string, Role>>, newSecret = secret) => {
    const members: Member[] = [
      { host: home.hostId, role: 'writer' },
      ...Object.entries(others).map(([host, role]) => ({ host: host as HostKeys['hostId'], role })),
    ];
    return createRoster({ genesis, sequence, members, secret: newSecret }, owner, random);
  };
  const grant = createGrant(genesis, home.hostId, owner);
  return { random, owner, home, office, hotel, genesis, secret, rosterOf, grant };
}

export type OwnedDisk = ReturnType<typeof ownedDisk>;

/** The generation after `parent`, or the first, signed by `keys` in the chain's present epoch. */
export function generationAfter(
  disk: OwnedDisk,
  chain: EpochChain,
  keys: HostKeys,
  parent: Generation | null,
  root = 'ab'.repeat(32),
): Generation {
  const { epoch, authority } = chain.current;
  return createGeneration(
    {
      disk: disk.genesis.disk,
      epoch,
      authority,
      sequence: (parent?.sequence ?? 0) + 1,
      parent: parent && { disk: disk.genesis.disk, generation: parent.id },
      root: root as ChunkId,
      sizeBytes: 1 << 20,
      kept: true,
      wallMs: 1_700_000_000_000,
    },
    keys,
  );
}

/** What a host keeps of the disk after it made it, with the first generation. */
export async function keptBy(disk: OwnedDisk, keys: HostKeys, storage: Storage) {
  const meta = await MetaTable.open(storage, 'meta.journal');
  await storage.syncFolder('');
  const roster = disk.rosterOf(1, keys === disk.home ? {} : { [keys.hostId]: 'writer' });
  const first = (chain: EpochChain): Generation => generationAfter(disk, chain, disk.home, null);
  const initial = { genesis: disk.genesis.bytes, roster: roster.bytes, epochs: [disk.grant.bytes] };
  const records = await DiskRecords.create(meta, keys, initial, {}, first);
  return { meta, records };
}
