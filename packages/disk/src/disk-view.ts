/**
 * A disk as its guest sees it, behind the fence of the attachment (design D6): what an NBD session is given.
 *
 * Checks who may do what, before every call and again when one that waited goes on; reads and writes themselves are in
 * disk-reader.ts and disk-writer.ts. Leaves to others: the NBD session, which pieces to fetch (resolver), when to seal.
 * Nothing is acknowledged before `commit`.
 */
import type { Geometry } from '@diskswarm/chunk';
import { type Backing, DiskswarmError, type StatusContext, type StatusExtent } from '@diskswarm/core';
import {
  type Attachment,
  type AttachmentEvent,
  applyAttachment,
  assertReadable,
  assertWritable,
} from './attachment.ts';
import { blockStatus } from './block-status.ts';
import { DiskReader } from './disk-reader.ts';
import { DiskWriter } from './disk-writer.ts';
import type { Overlay } from './overlay.ts';
import type { PieceTable } from './piece-table.ts';

export interface DiskViewOptions {
  readonly geometry: Geometry;
  readonly pieces: PieceTable;
  /** Null for a read-only attachment, and for an incoming one until it is accepted. */
  readonly overlay: Overlay | null;
  readonly attachment: Attachment;
  /** Told of everything that a guest writes, discards or zeroes, before it is carried out. */
  readonly onWrite?: (lengthBytes: number) => void;
}

export class DiskView implements Backing {
  readonly sizeBytes: number;
  readonly geometry: Geometry;
  readonly #pieces: PieceTable;
  readonly #onWrite: ((lengthBytes: number) => void) | undefined;
  readonly #reader: DiskReader;
  #writer: DiskWriter | null = null;
  #overlay: Overlay | null = null;
  #attachment: Attachment;
  #mayWrite = false;
  /** Set while writes wait for the end of a hold. */
  #decision: PromiseWithResolvers<void> | null = null;
  #fenced = false;

  /** A writable or held attachment needs an overlay (a programmer error otherwise). */
  constructor({ geometry, pieces, overlay, attachment, onWrite }: DiskViewOptions) {
    this.sizeBytes = geometry.sizeBytes;
    this.geometry = geometry;
    this.#pieces = pieces;
    this.#onWrite = onWrite;
    this.#reader = new DiskReader(geometry, pieces, null);
    this.#attachment = attachment;
    if (overlay !== null) this.#setOverlay(overlay);
    this.#setAttachment(attachment);
  }

  get readOnly(): boolean {
    return this.#attachment.kind === 'read-only';
  }

  get attachment(): Attachment {
    return this.#attachment;
  }

  get overlay(): Overlay | null {
    return this.#overlay;
  }

  /** The acceptance of `epoch` is durable: an incoming attachment takes writes into `overlay` from now on. Throws ATTACHMENT_STATE. */
  accept(epoch: number, overlay: Overlay): void {
    const accepted = applyAttachment(this.#attachment, { type: 'accept', epoch });
    this.#setOverlay(overlay);
    this.#setAttachment(accepted);
  }

  /** Refuses new writes, or with `wait` has them wait for `resume` or `fence`; those under way go on, see `drain`. Throws ATTACHMENT_STATE. */
  hold({ wait = false }: { wait?: boolean } = {}): void {
    this.#apply({ type: 'hold' });
    if (wait) this.#decision ??= Promise.withResolvers();
    else this.#decided();
  }

  /** Takes writes again after `hold`. Throws ATTACHMENT_STATE. */
  resume(): void {
    this.#apply({ type: 'resume' });
    this.#decided();
  }

  /** Serves nothing any more, for good; writes that wait are rejected. */
  fence(): void {
    this.#apply({ type: 'fence' });
    const error = new DiskswarmError('ATTACHMENT_STATE', 'the attachment was fenced', { data: { state: 'fenced' } });
    this.#writer?.abandon(error);
    this.#decided();
  }

  /** Resolves when no write is under way. Waits as long as a partial write waits for its block. */
  async drain(): Promise<void> {
    await this.#writer?.drain();
  }

  /** A sealed generation lies below now; these leaves of its manifest changed. Call before `Overlay.dropFrozen`. */
  rebase(changedLeaves: Iterable<number>): void {
    this.#pieces.invalidate(changedLeaves);
  }

  readSync(offsetBytes: number, into: Uint8Array): boolean {
    this.#assertServing();
    return this.#reader.readSync(offsetBytes, into);
  }

  async read(offsetBytes: number, into: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    this.#assertServing();
    await this.#reader.read(offsetBytes, into, options);
    this.#assertServing();
  }

  write(offsetBytes: number, data: Uint8Array): void | Promise<void> {
    if (this.#decision !== null) return this.#later(() => this.write(offsetBytes, data));
    return this.#writable(data.length).write(offsetBytes, data);
  }

  /** Whole blocks become holes; what lies beside them is left as it is. */
  trim(offsetBytes: number, lengthBytes: number): void | Promise<void> {
    if (this.#decision !== null) return this.#later(() => this.trim(offsetBytes, lengthBytes));
    return this.#writable(lengthBytes).trim(offsetBytes, lengthBytes);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: { keepAllocated: boolean }): void | Promise<void> {
    if (this.#decision !== null) return this.#later(() => this.writeZeroes(offsetBytes, lengthBytes, options));
    return this.#writable(lengthBytes).writeZeroes(offsetBytes, lengthBytes, options);
  }

  commit(): void {
    this.#assertServing();
    this.#overlay?.commit();
  }

  async flush(): Promise<void> {
    this.#assertServing();
    await this.#overlay?.flush();
  }

  prefetch(offsetBytes: number, lengthBytes: number): void {
    this.#assertServing();
    this.#reader.prefetch(offsetBytes, lengthBytes);
  }

  async status(
    offsetBytes: number,
    lengthBytes: number,
    context: StatusContext,
    maxExtents: number,
  ): Promise<StatusExtent[]> {
    this.#assertServing();
    const disk = { geometry: this.geometry, overlay: this.#overlay, pieces: this.#pieces };
    return blockStatus(disk, { offsetBytes, lengthBytes }, context, maxExtents);
  }

  /** Runs a write that came while it is decided who may write; it commits itself. */
  async #later(write: () => void | Promise<void>): Promise<void> {
    await this.#decision?.promise;
    await write();
    this.commit();
  }

  #decided(): void {
    this.#decision?.resolve();
    this.#decision = null;
  }

  #apply(event: AttachmentEvent): void {
    this.#setAttachment(applyAttachment(this.#attachment, event));
  }

  #setAttachment(attachment: Attachment): void {
    this.#attachment = attachment;
    this.#mayWrite = attachment.kind === 'writable';
    this.#fenced = attachment.kind === 'fenced';
    if (this.#mayWrite && this.#writer === null) throw new Error('a writable attachment needs an overlay');
  }

  #setOverlay(overlay: Overlay): void {
    this.#overlay = overlay;
    this.#reader.overlay = overlay;
    this.#writer = new DiskWriter(this.geometry, this.#pieces, this.#reader, overlay, () => this.#assertServing());
  }

  #assertServing(): void {
    if (this.#fenced) assertReadable(this.#attachment);
    const failure = this.#overlay?.failure ?? null;
    if (failure !== null) throw failure;
  }

  #writable(lengthBytes: number): DiskWriter {
    if (!this.#mayWrite || this.#writer === null) assertWritable(this.#attachment);
    this.#assertServing();
    this.#onWrite?.(lengthBytes);
    return this.#writer!;
  }
}
