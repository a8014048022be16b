/**
 * The export of one disk on this host: opened for a user, opened again after a restart, held and fenced by a hand-over.
 *
 * At most one at a time. That it exists is durable, so that a restarted agent opens the same socket before anything else and guests reconnect.
 * A fenced export is forgotten: no later epoch revives it. One whose storage failed is forgotten too: a client that came back to it by itself would
 * repeat its flush, have it answered, and take for durable what the failed sync had lost.
 */
import { DiskswarmError, type GenerationId } from '@diskswarm/core';
import { discardOverlay, inspectOverlay, isSuspect } from '@diskswarm/disk';
import type { Standing } from '@diskswarm/ownership';
import type { Attachment, AttachmentSpec } from '../attachment/attachment.ts';
import type { AttachmentInfo } from '../control/methods.ts';
import { type AttachmentRecord, decodeRecord, encodeRecord, modeOf } from './attachment-record.ts';
import { AttachmentResolver } from './attachment-resolver.ts';
import { type DiskRecords, diskKey } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { FaultStatistics } from './fault-statistics.ts';
import type { GenerationView } from './generation-view.ts';
import type { PieceChunks } from './piece-chunks.ts';

export interface DiskAttachmentOptions {
  readonly env: Environment;
  readonly name: string;
  readonly records: DiskRecords;
  readonly chunks: PieceChunks;
  readonly statistics: FaultStatistics;
  /** A view of a generation with what is here of it. */
  readonly viewOf: (generation: GenerationId) => Promise<GenerationView>;
  readonly standing: () => Standing;
  /** The export ended by a failure: its trace is still to be had. */
  readonly onFailed: (error: Error) => void;
}

interface Open {
  readonly attachment: Attachment;
  readonly resolver: AttachmentResolver;
  readonly record: AttachmentRecord;
}

export class DiskAttachment {
  readonly #options: DiskAttachmentOptions;
  #open: Open | null = null;
  /** The store failed: see `Attachment.distrust`. */
  #distrusting = false;
  /** Dirty bytes of the overlay while nothing is attached; null when they must be counted. */
  #restingDirtyBytes: number | null = null;
  /** Counts what may have changed the overlay, so that a count made before is not kept. */
  #uses = 0;

  constructor(options: DiskAttachmentOptions) {
    this.#options = options;
  }

  get attachment(): Attachment | null {
    return this.#open?.attachment ?? null;
  }

  get resolver(): AttachmentResolver | null {
    return this.#open?.resolver ?? null;
  }

  /** True for an export that takes writes, also while it is held. */
  get writable(): boolean {
    return this.#open !== null && !this.#open.record.readOnly && !this.#open.record.incoming;
  }

  /** True for an export that will take writes when its guest has come. */
  get incoming(): boolean {
    return this.#open?.record.incoming === true;
  }

  /** The overlay's folder in an epoch of this host. */
  overlayFolder(epoch: number): string {
    return `disks/${this.#options.records.disk}/overlay-${epoch}`;
  }

  /** Opens the export and remembers it. DISK_ATTACHED, NOT_OWNER, ROLE_FORBIDS, GENERATION_NOT_FOUND or what opening an overlay rejects with. */
  async attach(wanted: { readOnly: boolean; socket: string | null; incoming?: boolean }): Promise<AttachmentInfo> {
    const { env, name, records } = this.#options;
    if (this.#open !== null)
      throw new DiskswarmError('DISK_ATTACHED', `disk "${name}" is attached at ${this.#open.record.socket}`, {
        data: { name, socket: this.#open.record.socket },
      });
    const head = records.head;
    if (head === null)
      throw new DiskswarmError(
        'GENERATION_NOT_FOUND',
        `no generation of disk "${name}" is known yet; connect to a host that has it`,
        { data: { name } },
      );
    const incoming = wanted.incoming === true;
    if (!wanted.readOnly && !incoming) this.assertOwner();
    if (!wanted.readOnly && !incoming) records.heard.assertNone(name);
    const record = {
      socket: wanted.socket ?? (await env.socketFor(name)),
      readOnly: wanted.readOnly,
      incoming,
      generation: head.id,
    };
    const open = await this.#openExport(record);
    try {
      await env.meta.commit({ [this.#key]: encodeRecord(record) });
      const info = await this.info();
      if (info !== null) return info;
    } catch (error) {
      if (this.#open === open) await this.#close(open).catch(() => {}); // What went wrong first is told.
      throw error;
    }
    throw new DiskswarmError('ATTACHMENT_STATE', `disk "${name}" was taken away while it was attached`, {
      data: { disk: records.disk, name },
    });
  }

  /** Opens what was attached when the agent, or with `sameRun` its thread, ended. What may not be written any more is not opened writable. */
  async reattach({ sameRun = false }: { sameRun?: boolean } = {}): Promise<void> {
    const { env, name, standing } = this.#options;
    const bytes = env.meta.get(this.#key);
    if (bytes === null) return;
    const found = decodeRecord(bytes);
    const { state } = standing();
    // Its guest came, and the agent ended before it could say so.
    const record = { ...found, incoming: found.incoming && state !== 'writable' };
    if (record.incoming && !sameRun) {
      await env.meta.commit({ [this.#key]: null });
      return;
    }
    if (!record.readOnly && (await isSuspect(env.storage, this.overlayFolder(this.#epoch)))) {
      await env.meta.commit({ [this.#key]: null });
      env.log.warn(
        { disk: this.#options.records.disk },
        `the storage under disk "${name}" failed; attach it again to go on from what was flushed`,
      );
      return;
    }
    if (!record.readOnly && !record.incoming && state !== 'writable' && state !== 'held') {
      await env.meta.commit({ [this.#key]: null });
      env.log.warn(
        { disk: this.#options.records.disk },
        `disk "${name}" was attached here and belongs to another host now; its export is not opened again`,
      );
      return;
    }
    await this.#openExport(record);
    if (found.incoming !== record.incoming) await env.meta.commit({ [this.#key]: encodeRecord(record) });
  }

  /** Closes the export for good. */
  async detach(): Promise<AttachmentResolver> {
    const open = this.#open;
    if (open === null)
      throw new DiskswarmError('ATTACHMENT_STATE', `disk "${this.#options.name}" is not attached`, {
        data: { name: this.#options.name },
      });
    await this.#close(open);
    await this.#options.env.meta.commit({ [this.#key]: null });
    return open.resolver;
  }

  /** Closes the export; a restart opens it again. */
  async suspend(): Promise<void> {
    if (this.#open !== null) await this.#close(this.#open);
  }

  /** Closes an export whose storage failed; only a user opens it again. */
  async giveUp(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    try {
      await this.#close(open);
    } finally {
      await this.#options.env.meta.commit({ [this.#key]: null });
    }
  }

  async info(): Promise<AttachmentInfo | null> {
    const open = this.#open;
    if (open === null) return null;
    const { spec } = open.attachment;
    const status = await open.attachment.status();
    return {
      uri: `nbd+unix:///${encodeURIComponent(spec.exportName)}?socket=${encodeURIComponent(spec.socketPath).replaceAll('%2F', '/')}`,
      socket: spec.socketPath,
      exportName: spec.exportName,
      state: status.state,
      readOnly: open.record.readOnly,
      clients: status.clients,
    };
  }

  /** Bytes that no generation holds. */
  async dirtyBytes(): Promise<number> {
    if (this.#open !== null && !this.#open.record.readOnly) return (await this.#open.attachment.status()).dirtyBytes;
    if (this.#restingDirtyBytes !== null) return this.#restingDirtyBytes;
    const uses = this.#uses;
    const counted = await this.#countDirtyBytes();
    if (uses === this.#uses && this.#open === null) this.#restingDirtyBytes = counted;
    return counted;
  }

  /** The overlay changed while nothing was attached. */
  forgetDirtyBytes(): void {
    this.#uses++;
    this.#restingDirtyBytes = null;
  }

  /** Refuses new writes and drains. CLIENT_CONNECTED while a client may write, except `live`: its guest is stopped and moves too; writes wait. */
  async hold({ live = false }: { live?: boolean } = {}): Promise<void> {
    if (this.#open === null || !this.writable) return;
    const { writableClients } = await this.#open.attachment.status();
    if (writableClients > 0 && !live) {
      throw new DiskswarmError(
        'CLIENT_CONNECTED',
        `disk "${this.#options.name}" is in use by ${writableClients} client(s) that may write; shut the virtual machine down first`,
        {
          data: { name: this.#options.name, clients: writableClients },
        },
      );
    }
    await this.#open.attachment.hold({ wait: live });
  }

  /** The guest has come and the disk is this host's: an incoming export shows the newest generation and takes writes. ATTACHMENT_STATE, NOT_OWNER. */
  async activate(): Promise<void> {
    const { env, name, records } = this.#options;
    const open = this.#open;
    const { head } = records;
    this.assertOwner();
    const { epoch } = records.chain.current;
    // Its thread died between the acceptance and this, and it was opened again.
    if (open !== null && this.writable && open.attachment.spec.epoch === epoch) return;
    if (open === null || !open.record.incoming || head === null || open.attachment.spec.epoch !== epoch)
      throw new DiskswarmError('ATTACHMENT_STATE', `disk "${name}" waits for no guest`, {
        data: { disk: records.disk },
      });
    const view = await this.#options.viewOf(head.id);
    open.resolver.rebase(view);
    await open.attachment.activate({ generation: head.id, root: head.root });
    const record = { ...open.record, incoming: false };
    this.#open = { ...open, record };
    this.forgetDirtyBytes();
    await env.meta.commit({ [this.#key]: encodeRecord(record) });
  }

  /** The store failed: no chunk counts as verified any more, here and in exports opened from now on. */
  distrust(): void {
    this.#distrusting = true;
    this.#open?.attachment.distrust();
  }

  async resume(): Promise<void> {
    if (this.writable) await this.#open?.attachment.resume();
  }

  /** Ends a writable export for good, and removes the overlays of epochs that are over, which a generation holds by now. */
  async fence(): Promise<AttachmentResolver | null> {
    const { env, records } = this.#options;
    const open = this.writable ? this.#open : null;
    if (open !== null) {
      try {
        await open.attachment.fence();
      } finally {
        await this.#close(open);
      }
      await env.meta.commit({ [this.#key]: null });
    }
    const current = records.chain.current;
    for (const folder of await this.#overlayFolders()) {
      if (current.owner === env.hostId && folder === this.overlayFolder(current.epoch)) continue;
      const found = await inspectOverlay(env.storage, folder);
      if (found === null || found.isClean) await discardOverlay(env.storage, folder);
      else
        env.log.warn(
          { disk: records.disk },
          `${folder} holds writes that no generation has: the disk was taken away by force; the folder is kept`,
        );
    }
    this.forgetDirtyBytes();
    return open?.resolver ?? null;
  }

  /** Removes every overlay, sealed or not. */
  async discardAll(): Promise<void> {
    for (const folder of await this.#overlayFolders()) await discardOverlay(this.#options.env.storage, folder);
  }

  /** Whether this epoch's overlay holds, or may hold, anything. */
  async hasOverlay(): Promise<boolean> {
    const { env } = this.#options;
    const found = await inspectOverlay(env.storage, this.overlayFolder(this.#epoch));
    return found !== null && !found.isClean;
  }

  async #overlayFolders(): Promise<string[]> {
    const folder = `disks/${this.#options.records.disk}`;
    return (await this.#options.env.storage.list(folder))
      .filter((name) => name.startsWith('overlay-'))
      .map((name) => `${folder}/${name}`);
  }

  /** The epoch whose overlay is this host's: while a hand-over is in doubt still the one that it would end. */
  get #epoch(): number {
    const standing = this.#options.standing();
    return standing.state === 'elsewhere' ? this.#options.records.chain.current.epoch : standing.epoch;
  }

  get #key(): string {
    return diskKey(this.#options.records.disk, 'attachment');
  }

  /** NOT_OWNER, or ATTACHMENT_STATE while the disk is handed over. */
  assertOwner(): void {
    const { name, records, standing } = this.#options;
    const now = standing();
    if (now.state === 'writable') return;
    if (now.state === 'elsewhere') {
      throw new DiskswarmError(
        'NOT_OWNER',
        `host ${now.owner} owns disk "${name}"; \`diskswarm disk take ${name}\` asks it for the disk, --read-only needs no ownership`,
        {
          data: { disk: records.disk, name, ownerHostId: now.owner },
        },
      );
    }
    throw new DiskswarmError('ATTACHMENT_STATE', `disk "${name}" is being handed over`, {
      data: { disk: records.disk, name, state: now.state },
    });
  }

  /** Ownership may move while a large overlay is opened: what opened in an epoch that is over is closed before any guest can reach it. */
  async #openExport(record: AttachmentRecord): Promise<Open> {
    const { env, name, records, statistics } = this.#options;
    // Epochs that were refused are passed over.
    const epoch = record.incoming ? records.chain.current.head.epoch : this.#epoch;
    const standing = this.#options.standing();
    const base = record.readOnly ? record.generation : (records.head?.id ?? record.generation);
    const view = await this.#options.viewOf(base);
    const { disk, geometry, generation, root } = view.subject;
    const resolver = new AttachmentResolver({
      view,
      store: env.store,
      chunks: this.#options.chunks,
      clock: env.clock,
      onFault: (durationUs) => statistics.waited(durationUs),
      onFailed: (error) => this.#failed(error),
      warn: (message, error) => env.log.warn({ disk, error: String(error) }, message),
    });
    const spec: AttachmentSpec = {
      disk,
      exportName: name,
      sizeBytes: geometry.sizeBytes,
      chunkSizeBytes: geometry.chunkSizeBytes,
      base: { generation, root },
      epoch,
      mode: modeOf(record, standing),
      overlayFolder: this.overlayFolder(epoch),
      socketPath: record.socket,
      bootId: env.bootId,
    };
    const open = { attachment: await env.opener.open(spec, resolver), resolver, record };
    if (
      !record.readOnly &&
      !record.incoming &&
      (this.#options.standing().state !== standing.state || this.#epoch !== epoch)
    ) {
      await open.attachment.close();
      this.assertOwner();
      throw new DiskswarmError('NOT_OWNER', `disk "${name}" changed hands while it was attached; attach it again`, {
        data: { disk, name },
      });
    }
    if (this.#distrusting) open.attachment.distrust();
    this.#open = open;
    this.forgetDirtyBytes();
    return open;
  }

  async #close(open: Open): Promise<void> {
    this.#open = null;
    this.forgetDirtyBytes();
    await open.attachment.close();
  }

  #failed(error: Error): void {
    const open = this.#open;
    if (open === null) return;
    this.#options.env.log.warn(
      {
        disk: this.#options.records.disk,
      },
      `the export of disk "${this.#options.name}" failed and is fenced: ${error.message}`,
    );
    this.#options.onFailed(error);
  }

  /** Reads what is there, and opens nothing: the overlay may be opened for writing at this very moment. */
  async #countDirtyBytes(): Promise<number> {
    const found = await inspectOverlay(this.#options.env.storage, this.overlayFolder(this.#epoch));
    return found?.dirtyBytes ?? 0;
  }
}
