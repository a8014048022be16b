/** Interim: asks the first holder. */
import { type ChunkId, type Clock, DiskswarmError, type PiecePosition, type Priority, PRIORITY, type Random, ZERO_ID } from '@diskswarm/core';
import { chunkIdOf } from '@diskswarm/chunk';
import type { RequestToken, Swarm } from '@diskswarm/swarm';
import type { DiskPeers, PeerLink } from './disk-peers.ts';
import type { HostFetch } from './environment.ts';
import type { FaultStatistics } from './fault-statistics.ts';

export class SwarmFetch implements HostFetch {
  readonly #disks = new Map<string, { peers: DiskPeers; statistics: FaultStatistics }>();
  readonly #waiting = new Map<PeerLink, Map<RequestToken, (bytes: Uint8Array | null) => void>>();
  #wakers = new Set<() => void>();
  constructor(_options: { clock: Clock; random: Random; swarm: Swarm }) {}
  addDisk(peers: DiskPeers, statistics: FaultStatistics): void {
    this.#disks.set(peers.disk, { peers, statistics });
  }
  removeDisk(disk: string): void {
    this.#disks.delete(disk);
  }
  unavailable(): boolean {
    return false;
  }
  changed(): void {
    const wakers = this.#wakers;
    this.#wakers = new Set();
    for (const wake of wakers) wake();
  }
  closed(link: PeerLink): void {
    for (const done of this.#waiting.get(link)?.values() ?? []) done(null);
    this.#waiting.delete(link);
    this.changed();
  }
  answered(link: PeerLink, token: RequestToken, bytes: Uint8Array | null): void {
    const done = this.#waiting.get(link)?.get(token);
    this.#waiting.get(link)?.delete(token);
    done?.(bytes);
  }
  async get(id: ChunkId | Promise<ChunkId>, position: PiecePosition, priority: Priority, { signal }: { signal: AbortSignal }): Promise<Uint8Array> {
    for (;;) {
      if (signal.aborted) throw new DiskswarmError('ABORTED', 'given up');
      const disk = this.#disks.get(position.disk);
      const wait = new Promise<void>((resolve) => this.#wakers.add(resolve));
      for (const link of disk?.peers.links() ?? []) {
        const generation = disk?.peers.generationOf(position.root);
        if (generation === undefined || link.claimsOf(generation)?.stateOf(position.piece) === 'lacks') continue;
        const token = link.channel.request({ generation, piece: position.piece, lane: priority === PRIORITY.fault ? 'control' : 'bulk' });
        if (token === null) continue;
        const bytes = await new Promise<Uint8Array | null>((resolve) => {
          const map = this.#waiting.get(link) ?? new Map();
          this.#waiting.set(link, map);
          map.set(token, resolve);
        });
        if (bytes === null) continue;
        const wanted = await id;
        if (wanted === ZERO_ID || chunkIdOf(bytes) !== wanted) continue;
        disk?.statistics.received(link.host, bytes.length, priority === PRIORITY.fault);
        return bytes;
      }
      await Promise.race([wait, new Promise((resolve) => setTimeout(resolve, 500))]);
    }
  }
}
