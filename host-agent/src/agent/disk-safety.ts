/**
 * Whether one disk lets this host be switched off, and whether its copy here may go (design D7).
 *
 * Gathers what the ownership package judges by; keeps nothing. Asking other hosts for fresh receipts is left to the callers.
 */
import { DiskswarmError } from '@diskswarm/core';
import { type DiskView, diskSafety, mayDropCopy, type Safety } from '@diskswarm/ownership';
import type { DiskAttachment } from './disk-attachment.ts';
import type { DiskContent } from './disk-content.ts';
import type { DiskRecords } from './disk-records.ts';
import type { OwnershipDriver } from './ownership-driver.ts';
import type { Receipts } from './receipts.ts';

export interface DiskSafetyOptions {
  readonly hostId: Parameters<typeof diskSafety>[1];
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly attachment: DiskAttachment;
  readonly ownership: OwnershipDriver;
  readonly receipts: Receipts;
}

export class DiskSafety {
  readonly #options: DiskSafetyOptions;

  constructor(options: DiskSafetyOptions) {
    this.#options = options;
  }

  /** Whether this host may be switched off as far as this disk goes. */
  async ofHost(): Promise<Safety> {
    return diskSafety(await this.#view(), this.#options.hostId);
  }

  /** Whether the copy here may go: against a receipt that was asked for just now, with `nonce`. */
  async ofCopy(nonce: Uint8Array): Promise<Safety> {
    const { hostId, receipts } = this.#options;
    return mayDropCopy({ ...(await this.#view()), pinned: receipts.own, released: null }, hostId, nonce);
  }

  /** DISK_ATTACHED while it is attached; with the `nonce` of receipts, LAST_COPY unless one of them lets the copy go. */
  async assertRemovable(nonce: Uint8Array | null): Promise<void> {
    const { name, attachment } = this.#options;
    if (attachment.attachment !== null)
      throw new DiskswarmError('DISK_ATTACHED', `disk "${name}" is attached; detach it first`, { data: { name } });
    const { safe, reasons } = nonce === null ? { safe: true, reasons: [] } : await this.ofCopy(nonce);
    if (safe) return;
    throw new DiskswarmError(
      'LAST_COPY',
      `disk "${name}" stays: ${reasons.join('; ')}. With --force it is removed all the same`,
      { data: { name, reasons } },
    );
  }

  async #view(): Promise<DiskView> {
    const { name, records, content, attachment, ownership, receipts } = this.#options;
    const overlayDirtyBytes = await attachment.dirtyBytes();
    const { chain, roster, head } = records;
    const view = content.head;
    return {
      disk: records.disk,
      name,
      chain,
      roster,
      source: ownership.source,
      hasData: overlayDirtyBytes > 0 || (view !== null && view.piecesPresent > 0),
      overlayDirtyBytes,
      newest: head,
      receipts: receipts.received,
    };
  }
}
