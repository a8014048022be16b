/** A small disk with three hosts, from fixed seeds: the same keys and bytes in every run. */
import type { ChunkId } from '@diskswarm/core';
import { SeededRandom } from '@diskswarm/sim';
import {
  createGeneration,
  createGenesis,
  createGrant,
  createHostKeys,
  createOwner,
  createRelinquish,
  createRoster,
  createSwarmSecret,
  type EpochChain,
  type EpochRecord,
  type Generation,
  type GenerationContent,
  type HostKeys,
  type Member,
  type Relinquish,
  verifyEpochChain,
} from '../src/index.ts';

/** Everything that the tests of this package talk about. */
export function makeDisk(seed = 'disk') {
  const random = new SeededRandom(seed);
  const owner = createOwner(random);
  const [home, office, hotel] = [createHostKeys(random), createHostKeys(random), createHostKeys(random)];
  const stranger = createHostKeys(random);
  const genesis = createGenesis(owner, 65536, random);
  const secret = createSwarmSecret(random);
  const members: Member[] = [home, office, hotel].map((keys) => ({ host: keys.hostId, role: 'writer' }));
  const roster = createRoster({ genesis, sequence: 1, members, secret }, owner, random);
  const grant = createGrant(genesis, home.hostId, owner);
  return { random, owner, home, office, hotel, stranger, genesis, secret, members, roster, grant };
}

export type TestDisk = ReturnType<typeof makeDisk>;

/** The chain of these records of the disk. */
export function chainOf(disk: TestDisk, ...records: EpochRecord[]): EpochChain {
  return verifyEpochChain(records, disk.genesis, disk.roster);
}

/** A generation by `keys` in the epoch that `chain` is in. */
export function generationIn(
  disk: TestDisk,
  chain: EpochChain,
  keys: HostKeys,
  content: Partial<GenerationContent> = {},
): Generation {
  const { epoch, authority } = chain.current;
  const rest = {
    root: disk.genesis.disk as string as ChunkId,
    sizeBytes: 1 << 30,
    kept: true,
    wallMs: 1_700_000_000_000,
  };
  return createGeneration(
    { disk: disk.genesis.disk, epoch, authority, sequence: 1, parent: null, ...rest, ...content },
    keys,
  );
}

/** The generation after `parent`. */
export function nextGeneration(disk: TestDisk, chain: EpochChain, keys: HostKeys, parent: Generation): Generation {
  const link = { disk: disk.genesis.disk, generation: parent.id };
  return generationIn(disk, chain, keys, { sequence: parent.sequence + 1, parent: link });
}

/** `from` gives the disk to `to`. */
export function relinquishTo(
  disk: TestDisk,
  chain: EpochChain,
  from: HostKeys,
  to: HostKeys,
  final: Generation,
): Relinquish {
  const content = { at: chain.current.head, to: to.hostId, finalGeneration: final.id, finalSequence: final.sequence };
  return createRelinquish(disk.genesis, { ...content, nonce: disk.random.bytes(16) }, from);
}

/** The stable code of what `run` throws, with `data.reason` where it has one. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { code, data } = error as { code?: string; data?: { reason?: string } };
    return data?.reason ? `${code} ${data.reason}` : String(code);
  }
  return 'no error';
}
