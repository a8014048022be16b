/** One disk of three writers, from fixed seeds, as every test here uses it. */
import type { ChunkId } from '@diskswarm/core';
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
  verifyEpochChain,
} from '@diskswarm/identity';
import { SeededRandom } from '@diskswarm/sim';

const random = new SeededRandom('ownership');
export const owner = createOwner(random);
export const genesis = createGenesis(owner, 65536, random);
export const keys: readonly HostKeys[] = [createHostKeys(random), createHostKeys(random), createHostKeys(random)];
export const outsider = createHostKeys(random);
export const roster = createRoster(
  {
    genesis,
    sequence: 1,
    members: keys.map(({ hostId }) => ({ host: hostId, role: 'writer' })),
    secret: createSwarmSecret(random),
  },
  owner,
  random,
);
export const grant = createGrant(genesis, keys[0]!.hostId, owner);
export const startChain: EpochChain = verifyEpochChain([grant], genesis, roster);

/** A generation by `by`, the owner in `chain`, after `parent`. */
export function sealAfter(chain: EpochChain, by: HostKeys, parent: Generation | null): Generation {
  const { disk } = genesis;
  const { epoch, authority } = chain.current;
  const link = parent && { disk, generation: parent.id };
  const rest = { root: disk as string as ChunkId, sizeBytes: 1 << 20, kept: false, wallMs: 0 };
  return createGeneration({ disk, epoch, authority, sequence: (parent?.sequence ?? 0) + 1, parent: link, ...rest }, by);
}
export const firstGeneration = sealAfter(startChain, keys[0]!, null);
