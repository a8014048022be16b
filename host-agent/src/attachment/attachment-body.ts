/**
 * What an attachment is made of, whatever thread it lives in: overlay, piece table and disk view, behind one set of verbs.
 *
 * Leaves the socket to worker.ts, the order of seal and hand-over to the agent. A failed write or sync fences it: what it held is
 * recovered by opening it anew, never by trying again.
 */

import { Geometry } from '@diskswarm/chunk';
import { type Clock, DiskswarmError, PAGE_FANOUT, type Storage } from '@diskswarm/core';
import { attach, DiskView, type FrozenLayerName, Overlay, PieceTable } from '@diskswarm/disk';
import type {
  AttachmentOwner,
  AttachmentSpec,
  AttachmentState,
  AttachmentStatus,
  BaseGeneration,
  WriteLoad,
} from './attachment.ts';
import { WriteMeter } from './write-meter.ts';
import { WritePace } from './write-pace.ts';

export class AttachmentBody {
  readonly view: DiskView;
  /** For the NBD server, or a guest that stands in for it. */
  readonly pace: WritePace;
  readonly #spec: AttachmentSpec;
  readonly #openOverlay: (base: BaseGeneration) => Promise<Overlay>;
  #overlay: Overlay | null;
  readonly #pieces: PieceTable;
  readonly #written: WriteMeter;
  #closing: Promise<void> | null = null;

  private constructor(
    spec: AttachmentSpec,
    view: DiskView,
    overlay: Overlay | null,
    pieces: PieceTable,
    openOverlay: (base: BaseGeneration) => Promise<Overlay>,
    written: WriteMeter,
    pace: WritePace,
  ) {
    this.#spec = spec;
    this.view = view;
    this.#overlay = overlay;
    this.#pieces = pieces;
    this.#openOverlay = openOverlay;
    this.#written = written;
    this.pace = pace;
  }

  /**
   * Opens the overlay, which only a writable attachment has, and the view on top: others show a sealed generation and nothing else.
   * `warmBytes` is what the machine's page cache is thought to keep of each: that much is read without leaving the thread.
   */
  static async open(
    spec: AttachmentSpec,
    storage: Storage,
    owner: AttachmentOwner,
    { clock, warmBytes }: { clock: Clock; warmBytes: number },
  ): Promise<AttachmentBody> {
    const geometry = new Geometry(spec.sizeBytes, spec.chunkSizeBytes);
    const pieces = new PieceTable({ geometry, storage, resolver: owner, warmBytes });
    const openOverlay = (base: BaseGeneration): Promise<Overlay> =>
      Overlay.open({
        storage,
        folder: spec.overlayFolder,
        geometry,
        disk: spec.disk,
        epoch: spec.epoch,
        base: base.generation,
        bootId: spec.bootId,
        warmBytes,
        onFailure: (error) => owner.failed(error),
      });
    const kind = spec.mode === 'held' ? 'writable' : spec.mode;
    const overlay = kind === 'writable' ? await openOverlay(spec.base) : null;
    const written = new WriteMeter(clock);
    const view = new DiskView({
      geometry,
      pieces,
      overlay,
      attachment: attach(kind, spec.epoch),
      onWrite: (lengthBytes) => written.add(lengthBytes),
    });
    if (spec.mode === 'held') view.hold();
    return new AttachmentBody(spec, view, overlay, pieces, openOverlay, written, new WritePace(clock));
  }

  get state(): AttachmentState {
    return this.view.attachment.kind;
  }

  /** What `AttachmentStatus` tells of writes. */
  get writeCounts(): Pick<AttachmentStatus, 'dirtyBytes' | 'writes' | 'writtenBytes' | 'writeBytesPerSecond'> {
    const { writes, writtenBytes, bytesPerSecond } = this.#written;
    return { dirtyBytes: this.#overlay?.dirtyBytes ?? 0, writes, writtenBytes, writeBytesPerSecond: bytesPerSecond };
  }

  freeze(): Promise<readonly FrozenLayerName[]> {
    return this.#writable().freeze();
  }

  async rebase(base: BaseGeneration, layer: number, changedLeaves: readonly number[]): Promise<void> {
    this.view.rebase(changedLeaves);
    await this.#writable().dropFrozen(layer, base.generation);
  }

  /** See `Attachment.slowWrites`. Only what takes writes can be slow about it. */
  slowWrites(delayUs: number): WriteLoad {
    this.pace.set(this.state === 'writable' ? delayUs : 0);
    return { writes: this.pace.writes, dirtyBytes: this.#overlay?.dirtyBytes ?? 0 };
  }

  async hold(options: { readonly wait: boolean }): Promise<void> {
    this.pace.end();
    this.view.hold(options);
    await this.view.drain();
    await this.#writable().flush();
  }

  /** ATTACHMENT_STATE unless it is incoming. The guest has read next to nothing: every leaf is looked at anew. */
  async activate(base: BaseGeneration): Promise<void> {
    if (this.state !== 'incoming')
      throw new DiskswarmError('ATTACHMENT_STATE', `a ${this.state} attachment cannot be activated`, {
        data: { disk: this.#spec.disk, state: this.state },
      });
    const overlay = await this.#openOverlay(base);
    this.#overlay = overlay;
    this.view.rebase(Array(Math.ceil(this.view.geometry.pieces / PAGE_FANOUT)).keys());
    this.view.accept(this.#spec.epoch, overlay);
  }

  resume(): void {
    this.view.resume();
  }

  fence(): void {
    this.pace.end();
    this.view.fence();
  }

  distrust(): void {
    this.#pieces.distrust();
  }

  /** Flushes and closes the files. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#pieces.close();
    await this.#overlay?.close();
  }

  #writable(): Overlay {
    if (this.#overlay === null)
      throw new DiskswarmError('ATTACHMENT_STATE', 'an attachment that takes no writes holds nothing to seal');
    return this.#overlay;
  }
}
