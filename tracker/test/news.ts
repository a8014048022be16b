/** News of a swarm, as its members seal it. */
import { type ChunkId, toHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  createAnnounceBlob,
  createGeneration,
  createGenesis,
  createGrant,
  createHostKeys,
  createOwner,
  createSwarmSecret,
  infoHashOf,
  topicOf,
} from '@diskswarm/identity';

/** A swarm; `blob` makes one of a place, another one each time. */
export function makeSwarm() {
  const owner = createOwner(systemRandom);
  const keys = createHostKeys(systemRandom);
  const { disk, ...genesis } = createGenesis(owner, 65_536, systemRandom);
  const secret = createSwarmSecret(systemRandom);
  const { id: authority } = createGrant({ disk, ...genesis }, keys.hostId, owner);
  const blob = (sequence: number, epoch = 1, by = secret): Uint8Array => {
    const parent = sequence === 1 ? null : { disk, generation: 'ab'.repeat(32) as never };
    const root = 'cd'.repeat(32) as ChunkId;
    const content = { disk, epoch, sequence, parent, authority, root, sizeBytes: 1 << 20, kept: true, wallMs: 1 };
    return createAnnounceBlob(createGeneration(content, keys), by, systemRandom)!;
  };
  return { infoHash: toHex(infoHashOf(topicOf(secret, disk))), blob };
}
