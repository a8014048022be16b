/** Announces as a client of a tracker sends them, and the news that members of a swarm leave with them. */
import http from 'node:http';
import {
  type AnnounceRequest,
  type AnnounceResponse,
  buildAnnounceUrl,
  parseAnnounceResponse,
} from '@diskswarm/announce';
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
import type { Daemon } from './processes.ts';

/** A swarm that nobody is in; `news` seals that of a generation, other bytes each time. */
export interface Swarm {
  readonly infoHash: string;
  news(sequence: number, epoch?: number): Uint8Array;
}

export function makeSwarm(): Swarm {
  const owner = createOwner(systemRandom);
  const keys = createHostKeys(systemRandom);
  const { disk, ...genesis } = createGenesis(owner, 65_536, systemRandom);
  const secret = createSwarmSecret(systemRandom);
  const { id: authority } = createGrant({ disk, ...genesis }, keys.hostId, owner);
  return {
    infoHash: toHex(infoHashOf(topicOf(secret, disk))),
    news: (sequence, epoch = 1) => {
      const parent = sequence === 1 ? null : { disk, generation: 'ab'.repeat(32) as never };
      const root = 'cd'.repeat(32) as ChunkId;
      const content = { disk, epoch, sequence, parent, authority, root, sizeBytes: 1 << 20, kept: true, wallMs: 1 };
      return createAnnounceBlob(createGeneration(content, keys), secret, systemRandom)!;
    },
  };
}

/** Asks a tracker from the loopback address `from`; status and body. */
export function get(url: string, from = '127.0.0.1'): Promise<{ readonly status: number; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { localAddress: from, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

/** Announces to a tracker. */
export async function announce(
  tracker: Daemon,
  infoHash: string,
  port: number,
  { from, ...more }: Partial<AnnounceRequest> & { readonly from?: string } = {},
): Promise<AnnounceResponse> {
  const empty = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 0, event: 'none', peersWanted: null } as const;
  const url = buildAnnounceUrl(String(tracker.ready.announceUrl), {
    ...{ infoHash, peerId: new Uint8Array(20), port, ...empty },
    ...more,
  });
  return parseAnnounceResponse(new Uint8Array((await get(url, from)).body));
}
