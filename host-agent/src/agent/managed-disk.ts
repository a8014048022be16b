/**
 * One disk on this host: ties records, content, peers, attachment and ownership together, and carries out what a user asks of it.
 *
 * Structural work (attach, detach, seal, the steps of a hand-over, removal) is done one at a time. What a user may wait for fires `changed`.
 */
import { DiskswarmError, type GenerationId, hasCode, type HostId } from '@diskswarm/core';
import { diskSafety, type DiskView, mayDropCopy, type OwnershipMessage, type Safety } from '@diskswarm/ownership';
import type { AttachmentInfo } from '../control/methods.ts';
import { ChangeSignal } from './change-signal.ts';
import { DiskAttachment } from './disk-attachment.ts';
import { DiskCompletion } from './disk-completion.ts';
import { DiskContent } from './disk-content.ts';
import { DiskPages } from './disk-pages.ts';
import { DiskPeers } from './disk-peers.ts';
import type { DiskRecords } from './disk-records.ts';
import { StoreServer } from './disk-server.ts';
import { DiskTrace } from './disk-trace.ts';
import type { Environment } from './environment.ts';
import { FaultStatistics } from './fault-statistics.ts';
import type { GenerationView } from './generation-view.ts';
import { codeOf, OwnershipDriver } from './ownership-driver.ts';
import { PageFetch } from './page-fetch.ts';
import { PieceChunks } from './piece-chunks.ts';
import { PieceIntake } from './piece-intake.ts';
import { Receipts } from './receipts.ts';
import { DiskSealer, type SealOutcome } from './seal-disk.ts';
import { Turns } from './turns.ts';

export class ManagedDisk {
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly pages: DiskPages;
  readonly peers: DiskPeers;
  readonly attachment: DiskAttachment;
  readonly ownership: OwnershipDriver;
  readonly statistics = new FaultStatistics();
  readonly chunks: PieceChunks;
  readonly receipts: Receipts;
  readonly completion: DiskCompletion;
  readonly changed = new ChangeSignal();
  readonly #env: Environment;
  readonly #intake: PieceIntake;
  readonly #trace: DiskTrace;
  readonly #sealer: DiskSealer;
  readonly #turns = new Turns();
  /** What the owner answered to our ask, by nonce. */
  #refusal: { readonly nonce: Uint8Array; readonly error: DiskswarmError } | null = null;
  #stopped = false;

  constructor(env: Environment, name: string, records: DiskRecords) {
    const { store, clock, meta, keys, random } = env;
    const { disk } = records;
    this.#env = env;
    this.name = name;
    this.records = records;
    this.receipts = new Receipts(env, records);
    this.#trace = new DiskTrace(meta, disk);
    this.pages = new DiskPages(store, disk);
    const warn = (message: string, error: unknown): void => env.log.warn({ disk, error: String(error) }, message);
    this.peers = new DiskPeers({
      records,
      fetch: env.fetch,
      server: new StoreServer({ records, store, pages: this.pages, onDamaged: (piece) => this.content.head?.dropPiece(piece) }),
      head: () => this.content.head,
      trace: () => this.#trace.bytes,
      listener: {
        rosterChanged: () => this.#rosterChanged(),
        recordsChanged: (head) => this.#recordsChanged(head),
        linkReady: (link) => this.#linkReady(link.host),
        linkClosed: () => this.changed.fire(),
        trace: (generation, bytes) => this.#takeTrace(generation, bytes),
        ownership: (from, message) => this.#takeOwnership(from, message),
        warn,
      },
    });
    const fetch = new PageFetch(this.pages, this.peers);
    this.content = new DiskContent({
      disk,
      chunkSizeBytes: records.genesis.chunkSizeBytes,
      store,
      pages: this.pages,
      fetch,
      listener: {
        headChanged: () => {
          this.peers.announceAll(null);
          this.completion.update();
          this.changed.fire();
        },
        learned: (_view, changed) => {
          this.peers.announceAll(changed);
          void this.completion.check();
        },
        warn,
      },
    });
    this.#intake = new PieceIntake(store, clock, disk, {
      durable: (view, pieces) => {
        for (const piece of pieces) view.markDurable(piece);
        this.peers.claim(view, pieces);
        void this.completion.check();
      },
      failed: (error) => warn('fetched chunks could not be made durable', error),
    });
    this.chunks = new PieceChunks({
      store,
      source: env.fetch,
      pages: fetch,
      intake: this.#intake,
      statistics: this.statistics,
      claimedElsewhere: (view, piece) => [...this.peers.holders(view.subject.generation, piece)].some(({ certainty }) => certainty === 'has'),
    });
    this.ownership = new OwnershipDriver({
      records,
      meta,
      keys,
      random,
      actions: {
        hold: () => this.attachment.hold(),
        seal: async () => (await this.#sealer.seal({ signal: new AbortController().signal })).generation,
        resume: () => this.attachment.resume(),
        fence: async () => {
          const resolver = await this.attachment.fence();
          if (resolver !== null) await this.#trace.record(resolver.trace.pieces);
        },
        adopt: async (final) => {
          await records.offerGeneration(final.bytes);
          await this.#adoptHead();
        },
        send: (to, message) => this.peers.send(to, message),
        ownershipChanged: () => this.#recordsChanged(false),
      },
    });
    this.#sealer = new DiskSealer({
      env,
      name,
      records,
      content: this.content,
      pages: this.pages,
      chunks: this.chunks,
      attachment: () => this.attachment,
      viewOf: (generation) => this.viewOf(generation),
      onSealed: async () => {
        if (this.attachment.resolver !== null) await this.#trace.record(this.attachment.resolver.trace.pieces);
        this.changed.fire();
      },
    });
    this.completion = new DiskCompletion({
      env,
      name,
      records,
      content: this.content,
      chunks: this.chunks,
      intake: this.#intake,
      receipts: this.receipts,
      changed: this.changed,
      trace: (pieces) => this.#trace.pieces(pieces),
      sendAll: (message) => this.peers.sendAll(message),
      isWanted: () => this.attachment.writable || records.member?.role === 'keeper',
    });
    this.attachment = new DiskAttachment({
      env,
      name,
      records,
      chunks: this.chunks,
      statistics: this.statistics,
      viewOf: (generation) => this.viewOf(generation),
      standing: () => this.ownership.standing(),
      onFailed: (failure) => void this.#turns.run(() => this.#exportFailed(failure)).catch((error: unknown) => warn('the export that failed could not be put in order', error)),
    });
  }

  get disk(): DiskRecords['disk'] {
    return this.records.disk;
  }

  /** Opens the export that was open when the agent ended. */
  async reopen(): Promise<void> {
    this.#env.fetch.addDisk(this.peers, this.statistics);
    if (this.records.head !== null) this.content.begin(this.records.head);
    try {
      await this.attachment.reattach();
    } catch (error) {
      this.#env.log.warn({ disk: this.disk }, `disk "${this.name}" could not be attached again: ${String(error)}`);
    }
  }

  /** Looks at what is here, shares it, and goes on with what was under way. */
  async start(): Promise<void> {
    await this.#adoptHead();
    this.#env.swarm.addDisk(this.peers);
    await this.ownership.start();
    this.completion.update();
    void this.completion.check();
  }

  /** Ends everything but what is durable. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.content.stop();
    this.completion.stop();
    this.#env.swarm.removeDisk(this.disk);
    this.#env.fetch.removeDisk(this.disk);
    await this.#turns.run(async () => {
      const resolver = this.attachment.resolver;
      await this.attachment.suspend();
      if (resolver !== null) await this.#trace.record(resolver.trace.pieces);
    });
    this.#intake.stop();
  }

  /** A view of a generation of this disk; GENERATION_NOT_FOUND. */
  async viewOf(id: GenerationId): Promise<GenerationView> {
    const attached = this.attachment?.resolver?.view;
    if (attached?.subject.generation === id) return attached;
    const generation = this.records.generation(id);
    if (generation === null) throw new DiskswarmError('GENERATION_NOT_FOUND', `disk "${this.name}" has no generation ${id} here`, { data: { name: this.name, generation: id } });
    return this.content.viewOf(generation);
  }

  attach(wanted: { readOnly: boolean; socket: string | null }): Promise<AttachmentInfo> {
    return this.#turns.run(async () => {
      const info = await this.attachment.attach(wanted);
      this.completion.update();
      this.changed.fire();
      return info;
    });
  }

  detach(): Promise<void> {
    return this.#turns.run(async () => {
      const resolver = await this.attachment.detach();
      await this.#trace.record(resolver.trace.pieces);
      this.changed.fire();
    });
  }

  /** Seals what was written; `changedPieces` is 0, and the generation the present one, when nothing was. NOT_OWNER, SEAL_NEEDS_CHUNKS. */
  seal({ signal }: { signal: AbortSignal }): Promise<SealOutcome> {
    return this.#turns.run(() => {
      const standing = this.ownership.standing();
      if (standing.state === 'elsewhere') throw new DiskswarmError('NOT_OWNER', `host ${standing.owner} owns disk "${this.name}"`, { data: { name: this.name, ownerHostId: standing.owner } });
      if (standing.state !== 'writable') throw new DiskswarmError('ATTACHMENT_STATE', `disk "${this.name}" is being handed over`, { data: { name: this.name } });
      return this.#sealer.seal({ signal });
    });
  }

  /** Tells the hand-over machine of a user's wish; in turn with other structural work. */
  handOver(to: HostId): Promise<void> {
    return this.#turns.run(() => this.ownership.tellSource({ kind: 'start', to }));
  }

  /** Asks the owning host for the disk; the function returned tells its refusal, if it refused. */
  askOwner(nonce: Uint8Array): () => DiskswarmError | null {
    this.peers.send(this.records.chain.current.owner, { kind: 'ask', disk: this.disk, nonce });
    return () => (this.#refusal !== null && Buffer.compare(this.#refusal.nonce, nonce) === 0 ? this.#refusal.error : null);
  }

  /** The store dropped damaged chunks: looks again at what is here. */
  async forgetDamaged(): Promise<void> {
    const before = this.content.head;
    await this.content.relearn();
    const { resolver } = this.attachment;
    if (resolver !== null && resolver.view === before && this.content.head !== null) resolver.rebase(this.content.head);
  }

  /** Takes an owner-signed change of the roster; ROSTER_STALE when another one came first. */
  async applyRoster(bytes: Uint8Array): Promise<void> {
    if (await this.records.changeRoster(bytes)) this.#rosterChanged();
  }

  /** Takes an owner-signed epoch record (a forced take-over). */
  applyEpoch(bytes: Uint8Array): Promise<void> {
    return this.#turns.run(async () => {
      if (await this.records.offerEpochs([bytes])) this.#recordsChanged(true);
      await this.#adoptHead();
    });
  }

  /** Bytes of the newest generation that are not here, as far as its manifest is known. */
  leftBytes(): number {
    const view = this.content.head;
    if (view === null) return 1;
    return (view.piecesTotal - view.piecesPresent - view.piecesZero) * view.subject.geometry.chunkSizeBytes;
  }

  /** Whether this host may be switched off as far as this disk goes. */
  async safety(): Promise<Safety> {
    return diskSafety(await this.#safetyView(), this.#env.hostId);
  }

  /** Whether the copy here may go: against a receipt that was asked for just now. */
  async dropSafety(nonce: Uint8Array): Promise<Safety> {
    const pinned = this.receipts.own;
    return mayDropCopy({ ...(await this.#safetyView()), pinned, released: null }, this.#env.hostId, nonce);
  }

  /** Removes everything but the records: no peer is served any more, no export is open. */
  async removeContent(): Promise<void> {
    await this.stop();
    await this.attachment.discardAll();
    await this.#env.store.remove(this.disk);
    await this.#env.store.reclaim();
  }

  async #safetyView(): Promise<DiskView> {
    const { chain, roster, head } = this.records;
    const overlayDirtyBytes = await this.attachment.dirtyBytes();
    const view = this.content.head;
    return {
      disk: this.disk,
      name: this.name,
      chain,
      roster,
      source: this.ownership.source,
      hasData: overlayDirtyBytes > 0 || (view !== null && view.piecesPresent > 0),
      overlayDirtyBytes,
      newest: head,
      receipts: this.receipts.received,
    };
  }

  async #adoptHead(): Promise<void> {
    if (this.records.head !== null) await this.content.adopt(this.records.head);
  }

  /** Storage that failed may have lost what was acknowledged; a thread that ended lost nothing, as if the agent had been killed. */
  async #exportFailed(error: Error): Promise<void> {
    if (hasCode(error, 'WRITE_FAILED')) {
      await this.attachment.giveUp();
      this.#env.log.warn({ disk: this.disk }, `disk "${this.name}" is detached, with everything that was flushed: shut its virtual machine down, check the state folder's disk, then attach it again`);
    } else {
      await this.attachment.suspend();
      if (!this.#stopped) await this.attachment.reattach();
    }
    this.changed.fire();
  }

  #rosterChanged(): void {
    this.#env.swarm.rosterChanged(this.disk);
    this.#env.announce(this.disk);
    this.changed.fire();
  }

  #recordsChanged(head: boolean): void {
    const adopt = async (): Promise<void> => {
      if (head) await this.#adoptHead();
      this.peers.announceAll(null);
      await this.ownership.tellSource({ kind: 'chainChanged' });
      if (this.attachment.writable && this.ownership.standing().state === 'elsewhere') await this.attachment.fence();
      this.changed.fire();
    };
    adopt().catch((error: unknown) => this.#env.log.warn({ disk: this.disk }, `news of disk "${this.name}" could not be taken in: ${String(error)}`));
  }

  #linkReady(host: HostId): void {
    const { own } = this.receipts;
    if (own !== null) this.peers.send(host, { kind: 'receipt', disk: this.disk, record: own.bytes });
    this.ownership.tellSource({ kind: 'connected', host }).catch((error: unknown) => this.#env.log.warn({ disk: this.disk }, `the hand-over of disk "${this.name}" stopped: ${String(error)}`));
    this.changed.fire();
  }

  async #takeOwnership(from: HostId, message: OwnershipMessage): Promise<void> {
    switch (message.kind) {
      case 'receipt':
        if (await this.receipts.take(message.record)) this.changed.fire();
        return;
      case 'receiptRequest': {
        const head = this.records.head;
        const answer: OwnershipMessage =
          head?.id === message.generation && this.completion.isComplete()
            ? await this.receipts.give(head, message.nonce)
            : { kind: 'refused', disk: this.disk, nonce: message.nonce, code: 'GENERATION_NOT_FOUND', message: 'the generation is not complete here' };
        this.peers.send(from, answer);
        return;
      }
      case 'refused':
        this.#refusal = {
          nonce: message.nonce,
          error: new DiskswarmError(codeOf(message.code), `host ${from} did not hand over disk "${this.name}": ${message.message}`, { data: { name: this.name, from } }),
        };
        this.changed.fire();
        return;
      case 'ask':
        return this.#turns.run(() => this.ownership.receive(from, message));
      default:
        return this.ownership.receive(from, message);
    }
  }

  #takeTrace(generation: GenerationId, bytes: Uint8Array): void {
    const head = this.content.head;
    if (head === null || generation !== head.subject.generation) return;
    this.#trace.take(bytes, head.piecesTotal).catch((error: unknown) => this.#env.log.warn({ disk: this.disk }, `a trace of disk "${this.name}" was refused: ${String(error)}`));
  }
}
