/** Chunks, disks and simulated machines, as the tests of the store use them. */
import { blake3, type ChunkId, type DiskId, idFromBytes, type Storage, toHex } from '@diskswarm/core';
import { createSimulation, type SimHost } from '@diskswarm/sim';
import { type Damage, PackStore } from '../../src/index.ts';

export const DISK_A = 'a1'.repeat(32) as DiskId;
export const DISK_B = 'b2'.repeat(32) as DiskId;
export const DISK_C = 'c3'.repeat(32) as DiskId;
/** Small packs, so that a test fills several. */
export const PACK_BYTES = 16 * 1024;
export const CHECKPOINT = 'store/checkpoint';

export interface Chunk {
  readonly id: ChunkId;
  readonly bytes: Uint8Array;
}

/** A chunk whose content depends on its number alone. */
export function chunk(number: number, lengthBytes = 1024): Chunk {
  const bytes = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at++) bytes[at] = Math.imul(number * 65537 + at + 1, 2654435761) >>> 24;
  return { id: idFromBytes<ChunkId>(blake3(bytes)), bytes };
}

export function chunks(count: number, lengthBytes = 1024): Chunk[] {
  return Array.from({ length: count }, (_, number) => chunk(number, lengthBytes));
}

/** A store that fails the test when it reports damage nobody did. */
export async function openStore(storage: Storage, damages?: Damage[]): Promise<PackStore> {
  return PackStore.open(storage, {
    random: { bytes: (count) => new Uint8Array(count), below: () => 0x01020304 },
    packBytes: PACK_BYTES,
    onDamage: (damage) => {
      if (damages === undefined) throw new Error(`unexpected damage: ${JSON.stringify(damage)}`);
      damages.push(damage);
    },
  });
}

/** Runs `scenario` on a simulated machine. */
export function onHost(seed: number, scenario: (host: SimHost) => Promise<void>): Promise<void> {
  const simulation = createSimulation(seed);
  return simulation.run(() => scenario(simulation.host('home')));
}

/** Flips bits of a file, behind everybody's back. */
export async function damageFile(
  storage: Storage,
  path: string,
  positionBytes: number,
  lengthBytes = 1,
): Promise<void> {
  const file = await storage.open(path, 'write');
  const bytes = new Uint8Array(lengthBytes);
  await file.read(bytes, positionBytes);
  await file.write([bytes.map((byte) => byte ^ 0x5a)], positionBytes);
  await file.close();
}

/** Which of the chunks each disk has, as text that can be compared. */
export function admissionsOf(store: PackStore, all: readonly Chunk[]): string[] {
  const lines: string[] = [];
  for (const [number, { id }] of all.entries()) {
    const disks = [DISK_A, DISK_B, DISK_C].filter((disk) => store.has(id, disk)).map((disk) => disk[0]);
    if (disks.length > 0) lines.push(`${number}: ${disks.join('')}`);
  }
  return lines;
}

/** Asserts that every chunk some disk has reads back right; gives how many there are. */
export async function readAll(store: PackStore, all: readonly Chunk[]): Promise<number> {
  let count = 0;
  for (const { id, bytes } of all) {
    if (![DISK_A, DISK_B, DISK_C].some((disk) => store.has(id, disk))) continue;
    if (toHex(await store.get(id)) !== toHex(bytes)) throw new Error(`chunk ${id} reads back wrong`);
    count++;
  }
  return count;
}
