/**
 * Turns what a guest wrote into the next signed generation (design D5), for a disk that is attached or not.
 *
 * Crash order: frozen layers are durable; chunks and pages are synced; the signed record is durable in the metadata; only then the overlay drops
 * the layers. A crash in between is finished by the next seal: layers that a generation holds already change nothing.
 */
import { DiskswarmError, type GenerationId, hasCode, type PageId, type PieceIndex, PRIORITY } from '@diskswarm/core';
import {
  type FrozenLayerName,
  MAX_LAYERS,
  Overlay,
  openFrozenLayer,
  type SealResult,
  sealOverlay,
} from '@diskswarm/disk';
import { createGeneration, type Generation } from '@diskswarm/identity';
import type { DiskAttachment } from './disk-attachment.ts';
import type { DiskContent } from './disk-content.ts';
import type { DiskPages } from './disk-pages.ts';
import type { DiskRecords } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';
import { within } from './time-limit.ts';

/** A seal gives up on the rest of a partly written chunk, or on a manifest page, when nobody has brought it for so long. */
const PATIENCE_MS = 60_000;

export interface SealOutcome {
  readonly generation: Generation;
  readonly changedPieces: number;
}

export interface DiskSealerOptions {
  readonly env: Environment;
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly pages: DiskPages;
  readonly chunks: PieceChunks;
  readonly attachment: () => DiskAttachment;
  readonly viewOf: (generation: GenerationId) => Promise<GenerationView>;
  readonly onSealed: () => Promise<void>;
}

/** Where frozen layers come from, and who drops them. */
interface LayerSource {
  freeze(): Promise<readonly FrozenLayerName[]>;
  rebase(
    base: { generation: GenerationId; root: PageId },
    layer: number,
    changedLeaves: readonly number[],
  ): Promise<void>;
  /** Called when the seal is done or failed. */
  release(): Promise<void>;
}

/** What was cut; `layer` is the uppermost frozen layer, `layers` how many there were. */
interface Cut extends SealResult {
  readonly layer: number;
  readonly layers: number;
}

export interface SealWishes {
  readonly signal: AbortSignal;
  /** One that only a migration needs, which history does not show. */
  readonly transient?: boolean;
  /** What the disks of a machine are sealed as together, 16 bytes in hex. */
  readonly group?: string | null;
}

/** What a generation is besides its content. */
interface Mark {
  readonly kept: boolean;
  readonly group: string | null;
}

export class DiskSealer {
  readonly #options: DiskSealerOptions;

  constructor(options: DiskSealerOptions) {
    this.#options = options;
  }

  /** The newest generation, with all that was written up to the call. Not reentrant. SEAL_NEEDS_CHUNKS where remainders are not to be had. */
  async seal({ signal, transient = false, group = null }: SealWishes): Promise<SealOutcome> {
    const wishes = { kept: !transient, group };
    let changedPieces = 0;
    for (;;) {
      const round = await this.#sealFrozen(signal, wishes);
      changedPieces += round.changedPieces;
      if (!round.more) return { generation: round.generation, changedPieces };
    }
  }

  /** Seals what can be frozen now; `more` when seals that failed left so many layers that the newest writes had no place among them. */
  async #sealFrozen(signal: AbortSignal, wishes: Mark): Promise<SealOutcome & { readonly more: boolean }> {
    const { name, records } = this.#options;
    const attachment = this.#options.attachment();
    const { head } = records;
    if (head === null)
      throw new DiskswarmError('GENERATION_NOT_FOUND', `disk "${name}" has no generation yet`, { data: { name } });
    if (!attachment.writable && !(await attachment.hasOverlay()))
      return { generation: await this.#marked(head, wishes), changedPieces: 0, more: false };
    const view = await this.#options.viewOf(head.id);
    const layers = await this.#layers(attachment, view);
    try {
      const cut = await this.#cut(layers, view, signal);
      if (cut === null) return { generation: await this.#marked(head, wishes), changedPieces: 0, more: false };
      // What a user keeps follows a transient one even where nothing was written since.
      const same = cut.changedPieces === 0 && serves(head, wishes);
      const generation = same ? head : await this.#record(head, cut.root, wishes);
      this.#assertHead(generation);
      if (generation !== head) {
        await this.#options.content.adoptSealed(generation);
        // A read-only export goes on showing the generation it was opened with.
        if (attachment.writable) attachment.resolver?.rebase(await this.#options.viewOf(generation.id));
      }
      await layers.rebase({ generation: generation.id, root: cut.root }, cut.layer, cut.changedLeaves);
      await this.#options.onSealed();
      return { generation, changedPieces: cut.changedPieces, more: cut.layers >= MAX_LAYERS - 1 };
    } finally {
      attachment.forgetDirtyBytes();
      await layers.release();
    }
  }

  /** The layers of an attached disk belong to its thread; those of one that is not attached are opened for the seal alone. */
  async #layers(attachment: DiskAttachment, view: GenerationView): Promise<LayerSource> {
    const open = attachment.attachment;
    if (open !== null && attachment.writable) {
      return {
        freeze: () => open.freeze(),
        rebase: (base, layer, leaves) => open.rebase(base, layer, leaves),
        release: async () => {},
      };
    }
    const { env, records } = this.#options;
    const { epoch } = records.chain.current;
    const { geometry, disk, generation } = view.subject;
    const overlay = await Overlay.open({
      storage: env.storage,
      folder: attachment.overlayFolder(epoch),
      geometry,
      disk,
      epoch,
      base: generation,
      bootId: env.bootId,
    });
    return {
      freeze: () => overlay.freeze(),
      rebase: (base, layer) => overlay.dropFrozen(layer, base.generation),
      release: () => overlay.close(),
    };
  }

  /** Cuts the frozen layers into chunks and pages, synced; null when nothing was written. */
  async #cut(source: LayerSource, view: GenerationView, signal: AbortSignal): Promise<Cut | null> {
    const { env, pages, content } = this.#options;
    const { disk, root, geometry } = view.subject;
    const names = await source.freeze();
    const last = names.at(-1);
    if (last === undefined) return null;
    await this.#patiently(signal, 'manifest pages', () => content.wholeManifest());
    const layers = [];
    try {
      for (const { path } of names) layers.push(await openFrozenLayer(env.storage, path));
      const result = await sealOverlay({
        layers,
        geometry,
        root,
        source: pages,
        sink: pages,
        store: { put: (id, bytes) => env.store.put(id, bytes, disk) },
        remainder: (piece, options) => this.#remainder(view, piece, options.signal),
        clock: env.clock,
        signal,
      });
      await env.store.sync();
      return { ...result, layer: last.layer, layers: names.length };
    } finally {
      for (const layer of layers) await layer.close();
    }
  }

  async #remainder(view: GenerationView, piece: PieceIndex, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#patiently(signal, `piece ${piece}`, (limited) =>
      this.#options.chunks.read(view, piece, PRIORITY.seal, { signal: limited }),
    );
    return bytes ?? new Uint8Array(view.subject.geometry.chunkSizeBytes);
  }

  /** CHUNK_NOT_FOUND when nobody brings it in time. */
  async #patiently<Result>(
    signal: AbortSignal,
    what: string,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await within({ clock: this.#options.env.clock, limitMs: PATIENCE_MS, signal, what }, work);
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      throw new DiskswarmError(
        'CHUNK_NOT_FOUND',
        `no host that is reachable has ${what} of disk "${this.#options.name}"`,
        { data: { disk: this.#options.records.disk } },
      );
    }
  }

  /** Nothing was written since `head`: it is the answer, or another generation of what it holds, marked as is wished. */
  async #marked(head: Generation, wishes: Mark): Promise<Generation> {
    if (serves(head, wishes)) return head;
    const generation = await this.#record(head, head.root, wishes);
    this.#assertHead(generation);
    await this.#options.content.adoptSealed(generation);
    const { resolver, writable } = this.#options.attachment();
    if (writable) resolver?.rebase(await this.#options.viewOf(generation.id));
    await this.#options.onSealed();
    return generation;
  }

  #assertHead(generation: Generation): void {
    const { name, records } = this.#options;
    if (records.head?.id === generation.id) return;
    throw new DiskswarmError(
      'GENERATION_UNTRUSTED',
      `disk "${name}" was taken over while it was sealed; what was written here is kept in its overlay`,
      { data: { name } },
    );
  }

  /** Signs the next generation and makes it durable. */
  #record(parent: Generation, root: PageId, { kept, group }: Mark): Promise<Generation> {
    const { env, records } = this.#options;
    const { current } = records.chain;
    const { disk } = records;
    const content = {
      disk,
      epoch: current.epoch,
      sequence: parent.sequence + 1,
      parent: { disk, generation: parent.id },
      base: parent.base ?? null,
      authority: current.authority,
      root,
      sizeBytes: parent.sizeBytes,
      kept,
      group,
      wallMs: env.clock.wallMs(),
    };
    return records.offerGeneration(createGeneration(content, env.keys).bytes);
  }
}

/** A transient one is never wished for by itself; a kept one serves where it is of the group too. */
function serves({ kept, group }: Generation, wishes: Mark): boolean {
  return !wishes.kept || (kept && (wishes.group === null || wishes.group === group));
}
