/**
 * Offers that are refused whenever they come: of the final generations of a machine that had arrived here and was put away.
 *
 * Durable, because the source offers a disk again until it has an answer, and an agent that knew nothing of the machine would accept it without.
 */
import { type GenerationId, idFromBytes, idToBytes } from '@diskswarm/core';
import { diskKey } from '../agent/disk-records.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import type { MetaTable } from '../agent/meta-table.ts';

const NAME = 'refused-offer';

/** Remembers one generation of each disk, in their order. */
export function rememberRefusal(
  meta: MetaTable,
  disks: readonly ManagedDisk[],
  finals: readonly GenerationId[],
): Promise<void> {
  return meta.commit(
    Object.fromEntries(disks.map(({ disk }, index) => [diskKey(disk, NAME), idToBytes(finals[index]!)])),
  );
}

/** The generation of a disk whose offer is refused; null for none. */
export function refusalOf(meta: MetaTable, { disk }: ManagedDisk): GenerationId | null {
  const bytes = meta.get(diskKey(disk, NAME));
  return bytes === null ? null : idFromBytes<GenerationId>(bytes);
}
