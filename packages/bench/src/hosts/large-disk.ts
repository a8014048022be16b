/**
 * A disk too large for this machine, imported by the agent's own code into a store that takes little space.
 *
 * Every chunk is different and has 16 bytes of data, the rest is zero: ids, manifest, index and presence are those of a disk
 * full of data, every chunk is really there and verifies, but the packs are sparse files.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { Agent } from '@diskswarm/host-agent';
import { decodeHostKeys } from '@diskswarm/identity';
import { createTlsTransport, httpTracker } from '@diskswarm/swarm/transport';
import type { AgentHost } from './agent-host.ts';
import { sparseStorage } from './sparse-storage.ts';

const CHUNK_BYTES = 65536;

/** What a large disk looks like: `dataBytes` at the start of every `strideBytes`. */
export interface LargeDisk {
  readonly sizeBytes: number;
  readonly strideBytes: number;
  readonly dataBytes: number;
}

/** Builds it as the disk `large` in the state folder of `host`, whose agent started once and stopped since. */
export async function buildLargeDisk(host: AgentHost, disk: LargeDisk): Promise<void> {
  const unused = (): never => {
    throw new Error('building a disk attaches nothing');
  };
  const agent = new Agent({
    storage: sparseStorage(host.stateDir),
    clock: systemClock,
    random: systemRandom,
    transport: createTlsTransport(),
    trackerClient: httpTracker,
    keys: decodeHostKeys(await readFile(join(host.stateDir, 'host.keys'))),
    opener: { open: async () => unused() },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    bootId: 'bench',
    socketFor: async () => unused(),
    listen: '127.0.0.1:0',
    addressesOf: (listen) => [listen],
    trackers: [],
    segmentOf: null,
    peers: [],
    uploadBytesPerSecond: null,
    downloadBytesPerSecond: null,
  });
  await agent.start();
  const { genesis, rosterBundle, grant } = host.newDiskRecords();
  const records = { genesis: fromHex(genesis), roster: fromHex(rosterBundle), epochs: [fromHex(grant)] };
  const extents = Array.from({ length: disk.sizeBytes / disk.strideBytes }, (_, index) => ({
    offsetBytes: index * disk.strideBytes,
    lengthBytes: disk.dataBytes,
  }));
  const source = { extents, read: async (into: Uint8Array, offset: number) => fillChunks(into, offset) };
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  await agent.importDisk({ name: 'large', sizeBytes: disk.sizeBytes, source, records }, options);
  await agent.stop();
}

/** The content of whole chunks from `offsetBytes` on. */
export function fillChunks(into: Uint8Array, offsetBytes: number): void {
  into.fill(0);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  for (let at = 0; at < into.length; at += CHUNK_BYTES) {
    view.setBigUint64(at, 0x6469736b_73776172n, true);
    view.setBigUint64(at + 8, BigInt((offsetBytes + at) / CHUNK_BYTES + 1), true);
  }
}
