/**
 * Makes a clone of a template: the records of a new disk whose first generation has the template's root and names it as its base.
 *
 * All of it is one change of the metadata, so that a crash leaves a whole clone or none. Nothing is copied and no page is read,
 * whatever the size. Names and the start of the disk are left to the agent; bringing pieces to disk-base.ts.
 */
import { type DiskId, DiskswarmError } from '@diskswarm/core';
import { createGeneration, decodeGenesis, type EpochChain, type Generation } from '@diskswarm/identity';
import { baseChange } from './disk-base.ts';
import { diskKey, type InitialRecords } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { MetaChange } from './meta-table.ts';

/** Disks between a clone and the image that was imported: a read that misses goes down all of them. */
const MAX_CLONE_DEPTH = 8;

/** A clone to make. */
export interface NewClone {
  readonly name: string;
  readonly template: ManagedDisk;
  /** The fleet that it belongs to. @default null: none */
  readonly fleet?: string | null;
  /** Of a template that is not retired. */
  readonly generation: Generation;
  readonly records: InitialRecords;
}

/** What makes the clone, besides its records: its first generation, and more for the same change. BAD_CHUNK_SIZE, LIMIT_EXCEEDED. */
export function cloneOf(
  { template, generation, records, fleet = null }: NewClone,
  env: Environment,
): { disk: DiskId; first: (chain: EpochChain) => Generation; more: MetaChange } {
  const genesis = decodeGenesis(records.genesis);
  const { chunkSizeBytes } = template.records.genesis;
  if (genesis.chunkSizeBytes !== chunkSizeBytes)
    throw new DiskswarmError('BAD_CHUNK_SIZE', `a clone has chunks of its template's size, ${chunkSizeBytes} bytes`, {
      data: { chunkSizeBytes },
    });
  if (depthOf(template) >= MAX_CLONE_DEPTH)
    throw new DiskswarmError('LIMIT_EXCEEDED', `a clone of a clone goes at most ${MAX_CLONE_DEPTH} disks deep`, {
      data: { limit: MAX_CLONE_DEPTH },
    });
  const base = { disk: template.disk, generation: generation.id };
  const content = {
    disk: genesis.disk,
    sequence: 1,
    parent: base,
    base,
    root: generation.root,
    sizeBytes: generation.sizeBytes,
    kept: true,
    wallMs: env.clock.wallMs(),
  };
  return {
    disk: genesis.disk,
    first: ({ current: { epoch, authority } }) => createGeneration({ ...content, epoch, authority }, env.keys),
    more: {
      ...baseChange(genesis.disk, base),
      ...(fleet === null ? {} : { [diskKey(genesis.disk, 'fleet')]: Buffer.from(fleet) }),
    },
  };
}

/** The same disks, each behind the one it was cloned from: it reads through that one. */
export function templatesFirst(disks: readonly ManagedDisk[]): ManagedDisk[] {
  return [...disks].sort((left, right) => depthOf(left) - depthOf(right));
}

/** How many disks there are on this host from this one down to one that is no clone. */
function depthOf(disk: ManagedDisk): number {
  let depth = 1;
  for (let below = disk.base.disk; below !== null && depth < MAX_CLONE_DEPTH; below = below.base.disk) depth++;
  return depth;
}

/**
 * TEMPLATE_IN_USE while a clone here needs what only the base has, TEMPLATE_PINNED while this host pins templates of the disk: a
 * reader's copy is nobody's last one.
 */
export function assertNotNeeded(disk: ManagedDisk, disks: readonly ManagedDisk[]): void {
  const { name } = disk;
  const clones = disks.filter((each) => each.base.disk === disk && !each.completion.isComplete());
  if (clones.length > 0) {
    const names = clones.map((each) => each.name);
    const message = `disk "${name}" stays: clones here still need it (${names.slice(0, 8).join(', ')}). \`diskswarm disk pull\` makes a clone independent; with --force the disk is removed all the same`;
    throw new DiskswarmError('TEMPLATE_IN_USE', message, { data: { name, clones: names } });
  }
  const { member } = disk.records;
  if (disk.templates.active.length === 0 || member === null || member.role === 'reader') return;
  throw new DiskswarmError(
    'TEMPLATE_PINNED',
    `disk "${name}" stays: templates of it are pinned here until \`diskswarm disk retire ${name}\`. With --force it is removed all the same`,
    { data: { name, sequences: disk.templates.active.map(({ sequence }) => sequence) } },
  );
}
