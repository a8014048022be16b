/** What the parts of an open store share. */
import type { ChunkId, Storage } from '@diskswarm/core';
import type { Catalog, Handle } from './catalog.ts';
import type { Damage, DamageListener } from './damage.ts';
import type { EventBuffer } from './event-buffer.ts';
import type { PackFiles } from './pack-files.ts';
import { packName } from './pack-format.ts';
import type { PackWriter } from './pack-writer.ts';

export interface StoreContext {
  readonly storage: Storage;
  readonly packFolder: string;
  readonly nonce: number;
  readonly catalog: Catalog;
  readonly events: EventBuffer;
  readonly files: PackFiles;
  readonly writer: PackWriter;
  readonly onDamage: DamageListener;
}

/** Names the place of a chunk, and what is wrong with it. */
export function damageAt(
  { catalog, packFolder }: StoreContext,
  handle: Handle,
  kind: Damage['kind'],
  id: ChunkId | null,
): Damage {
  const positionBytes = catalog.positionOf(handle);
  const path = `${packFolder}/${packName(catalog.packOf(handle))}`;
  return { id, path, positionBytes, lengthBytes: catalog.lengthOf(handle), kind };
}

/** Takes a chunk that cannot be read out of the index, durably with the next sync, and reports it. */
export function dropDamaged(context: StoreContext, handle: Handle, kind: Damage['kind'], id: ChunkId | null): Damage {
  const damage = damageAt(context, handle, kind, id);
  const pack = context.catalog.packOf(handle);
  context.catalog.remove(handle);
  context.events.pushDrop({ pack, positionBytes: damage.positionBytes });
  context.onDamage(damage);
  return damage;
}
