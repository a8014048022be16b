/**
 * One disk on this host: ties records, content, peers, attachment and ownership together, and carries out what a user asks of it.
 *
 * Structural work (attach, detach, seal, the steps of a hand-over, removal) is done one at a time. What a user may wait for fires `changed`.
 */
import { DiskswarmError, type GenerationId, type HostId } from '@diskswarm/core';
import type { AttachmentInfo } from '../control/methods.ts';
import { ChangeSignal } from './change-signal.ts';
import { DiskAttachment } from './disk-attachment.ts';
import { DiskBase } from './disk-base.ts';
import { DiskCompletion } from './disk-completion.ts';
import { DiskContent } from './disk-content.ts';
import { DiskNews } from './disk-news.ts';
import { DiskPages } from './disk-pages.ts';
import { DiskPeers } from './disk-peers.ts';
import type { DiskRecords } from './disk-records.ts';
import { DiskSafety } from './disk-safety.ts';
import { StoreServer } from './disk-server.ts';
import { DiskTemplates } from './disk-templates.ts';
import { DiskTrace } from './disk-trace.ts';
import type { Environment } from './environment.ts';
import { putExportInOrder } from './export-failure.ts';
import { FaultStatistics } from './fault-statistics.ts';
import type { GenerationView } from './generation-view.ts';
import { HostGreeting } from './host-greeting.ts';
import { LiveMoves } from './live-moves.ts';
import { handoverError, OwnershipDriver } from './ownership-driver.ts';
import { OwnershipMail } from './ownership-mail.ts';
import { PageFetch } from './page-fetch.ts';
import { PassOn } from './pass-on.ts';
import { PieceChunks } from './piece-chunks.ts';
import { PieceIntake } from './piece-intake.ts';
import { Receipts } from './receipts.ts';
import { DiskSealer, type SealOutcome } from './seal-disk.ts';
import { SharedSources } from './shared-sources.ts';
import { StructuralTurns } from './structural-turns.ts';

export class ManagedDisk {
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly pages: DiskPages;
  readonly pageFetch: PageFetch;
  readonly base: DiskBase;
  readonly templates: DiskTemplates;
  readonly greeting: HostGreeting;
  readonly peers: DiskPeers;
  readonly attachment: DiskAttachment;
  readonly ownership: OwnershipDriver;
  readonly statistics = new FaultStatistics((host) => this.peers.link(host)?.channel.address ?? null);
  readonly chunks: PieceChunks;
  readonly receipts: Receipts;
  readonly completion: DiskCompletion;
  readonly safety: DiskSafety;
  readonly live: LiveMoves;
  readonly changed = new ChangeSignal();
  readonly #env: Environment;
  readonly #intake: PieceIntake;
  readonly #trace: DiskTrace;
  readonly #sealer: DiskSealer;
  readonly #turns: StructuralTurns;
  readonly #mail: OwnershipMail;
  readonly #news: DiskNews;
  readonly #sources: SharedSources;
  /** Ends what waits for chunks that may never come, so that the agent can stop. */
  readonly #closing = new AbortController();
  #stopping: Promise<void> | null = null;

  constructor(env: Environment, name: string, records: DiskRecords) {
    const { store, clock, meta, keys, random } = env;
    const { disk } = records;
    this.#env = env;
    this.name = name;
    this.records = records;
    this.#turns = new StructuralTurns(name);
    this.receipts = new Receipts(env, records);
    this.#trace = new DiskTrace(meta, disk);
    this.pages = new DiskPages(store, disk);
    const warn = (message: string, error: unknown): void => env.log.warn({ disk, error: String(error) }, message);
    this.peers = new DiskPeers({
      records,
      fetch: env.fetch,
      clock,
      server: new StoreServer({
        ...{ records, store, pages: this.pages, statistics: this.statistics },
        passOn: new PassOn(this, env, this.#closing.signal),
      }),
      content: () => this.content,
      trace: () => this.#trace.bytes,
      listener: {
        rosterChanged: () => this.#news.rosterChanged(),
        recordsChanged: (head) => this.#news.recordsChanged(head),
        linkReady: ({ host }) => {
          this.greeting.greet(host);
          this.changed.fire();
        },
        linkClosed: () => this.changed.fire(),
        trace: (generation, bytes) => this.greeting.takeTrace(generation, bytes),
        ownership: (from, message) => this.#mail.take(from, message),
        migration: (from, message) => env.migrationMail(this, from, message),
        warn,
      },
    });
    const fetch = new PageFetch(this.pages, this.peers, { bringPath: (...path) => this.base.bringPath(...path) });
    this.pageFetch = fetch;
    this.templates = new DiskTemplates(this, meta);
    this.#sources = new SharedSources(this, env);
    this.content = new DiskContent({
      disk,
      chunkSizeBytes: records.genesis.chunkSizeBytes,
      store,
      pages: this.pages,
      fetch,
      isRound: (generation) => records.generation(generation)?.kept === false,
      listener: {
        headChanged: (view) => {
          const { resolver } = this.attachment;
          if (resolver?.view.subject.generation === view.subject.generation) resolver.rebase(view);
          else if (resolver !== null && !this.attachment.writable) this.peers.keepOpen(resolver.view);
          this.templates.open();
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
        for (const [each, here] of this.content.durable(view, pieces)) this.peers.claim(each, here);
        void this.completion.check();
      },
      failed: (error) => warn('fetched chunks could not be made durable', error),
    });
    this.base = new DiskBase({ env, name, records, pages: this.pages, peers: this.peers, intake: this.#intake });
    this.chunks = new PieceChunks({
      base: this.base,
      store,
      source: env.fetch,
      pages: fetch,
      intake: this.#intake,
      statistics: this.statistics,
      claimedElsewhere: (view, piece) =>
        [...this.peers.holders(view.subject.generation, piece)].some(({ certainty }) => certainty === 'has'),
    });
    this.ownership = new OwnershipDriver({
      records,
      meta,
      keys,
      random,
      actions: {
        hold: () => this.live.hold(),
        seal: () => this.live.finalSeal(),
        resume: () => this.attachment.resume(),
        fence: async () => {
          await this.greeting.keepTrace(await this.attachment.fence(), { tell: false });
        },
        adopt: async (final) => {
          this.#turns.assertOpen();
          await records.offerGeneration(final.bytes);
          await this.#adoptHead();
          await this.live.examine(final);
        },
        send: (to, message) => this.peers.send(to, message),
        ownershipChanged: () => this.#news.recordsChanged(false),
      },
    });
    this.live = new LiveMoves({
      hold: (options) => this.attachment.hold(options),
      seal: async (group) => (await this.#sealer.seal({ signal: this.#closing.signal, group })).generation,
      handOver: (to, around) => this.#turns.run(() => around(() => this.ownership.tellSource({ kind: 'start', to }))),
      failure: () => {
        const { source } = this.ownership;
        return source.phase === 'relinquished' ? null : handoverError(this.disk, this.name, source);
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
        await this.greeting.keepTrace(this.attachment.resolver, { tell: false });
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
      isWanted: () =>
        (this.attachment.writable && !this.base.leavesRest) ||
        this.attachment.incoming ||
        records.member?.role === 'keeper',
    });
    this.attachment = new DiskAttachment({
      env,
      name,
      records,
      chunks: this.chunks,
      statistics: this.statistics,
      viewOf: (generation) => this.viewOf(generation),
      standing: () => this.ownership.standing(),
      onFailed: (failure) =>
        void this.#turns
          .runAlways(async () => {
            await putExportInOrder(failure, this, env.log, () => this.#stopping !== null);
            this.changed.fire();
          })
          .catch((error: unknown) => warn('the export that failed could not be put in order', error)),
    });
    const { receipts, content, attachment, ownership, completion, changed, peers, templates } = this;
    this.greeting = new HostGreeting(this, this.#trace, env.disks, (what) => this.#noted(what));
    this.#mail = new OwnershipMail({
      name,
      records,
      receipts,
      completion,
      ownership,
      changed,
      peers,
      templates,
      inTurn: (work) => this.#turns.run(work),
    });
    this.#news = new DiskNews({ env, name, records, content, attachment, ownership, changed, peers });
    this.safety = new DiskSafety({ hostId: env.hostId, name, records, content, attachment, ownership, receipts });
  }

  get disk(): DiskRecords['disk'] {
    return this.records.disk;
  }

  /** Opens the export that was open when the agent ended. */
  async reopen(): Promise<void> {
    this.#env.fetch.addDisk(this.#sources, this.statistics);
    if (this.records.head !== null) this.content.begin(this.records.head);
    await this.attachment.reattach().catch(this.#noted(`disk "${this.name}" could not be attached again`));
  }

  /** Looks at what is here, shares it, and goes on with what was under way. */
  async start(): Promise<void> {
    await this.#adoptHead();
    this.templates.open();
    this.#env.swarm.addDisk(this.peers);
    await this.ownership.start();
    this.completion.update();
    void this.completion.check();
  }

  /** Ends everything but what is durable. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#closing.abort(new DiskswarmError('ABORTED', 'the disk is closed'));
    this.content.stop();
    this.completion.stop();
    this.#env.swarm.removeDisk(this.disk);
    this.#env.fetch.removeDisk(this.disk);
    await this.#turns.runAlways(async () => {
      const { resolver } = this.attachment;
      await this.attachment.suspend();
      await this.greeting.keepTrace(resolver, { tell: false });
    });
    this.#intake.stop();
  }

  /** A view of a generation of this disk; GENERATION_NOT_FOUND. */
  async viewOf(id: GenerationId): Promise<GenerationView> {
    const attached = this.attachment?.resolver?.view;
    if (attached?.subject.generation === id) return attached;
    const generation = this.records.generation(id);
    if (generation === null)
      throw new DiskswarmError('GENERATION_NOT_FOUND', `disk "${this.name}" has no generation ${id} here`, {
        data: { name: this.name, generation: id },
      });
    const view = await this.content.viewOf(generation);
    if (id !== this.records.head?.id) this.peers.keepOpen(view);
    return view;
  }

  attach(wanted: { readOnly: boolean; socket: string | null; incoming?: boolean }): Promise<AttachmentInfo> {
    return this.#turns.run(async () => {
      const info = await this.attachment.attach(wanted);
      this.completion.update();
      this.changed.fire();
      return info;
    });
  }

  /** The guest that moved has come with the disk: its export takes writes from now on. */
  activate(): Promise<void> {
    return this.#turns.run(async () => {
      await this.attachment.activate();
      this.completion.update();
      this.changed.fire();
    });
  }

  detach(): Promise<void> {
    return this.#turns.run(async () => {
      await this.greeting.keepTrace(await this.attachment.detach(), { tell: true });
      this.changed.fire();
    });
  }

  /** Seals what was written; `changedPieces` is 0, and the generation the present one, when nothing was. NOT_OWNER, SEAL_NEEDS_CHUNKS. */
  seal({ signal, transient = false }: { signal: AbortSignal; transient?: boolean }): Promise<SealOutcome> {
    return this.#turns.run(() => {
      this.attachment.assertOwner();
      return this.#sealer.seal({ signal: AbortSignal.any([signal, this.#closing.signal]), transient });
    });
  }

  /** Tells the hand-over machine of a user's wish; in turn with other structural work. */
  handOver(to: HostId): Promise<void> {
    return this.#turns.run(() => this.ownership.tellSource({ kind: 'start', to }));
  }

  /** Asks the owning host for the disk; the function returned tells its refusal, if it refused. */
  askOwner(nonce: Uint8Array): () => DiskswarmError | null {
    this.peers.send(this.records.chain.current.owner, { kind: 'ask', disk: this.disk, nonce });
    return () => this.#mail.refusalOf(nonce);
  }

  /** Takes an owner-signed change of the roster; ROSTER_STALE when another one came first. */
  async applyRoster(bytes: Uint8Array): Promise<void> {
    if (await this.records.changeRoster(bytes)) this.#news.rosterChanged();
  }

  /** Takes an owner-signed epoch record (a forced take-over). */
  applyEpoch(bytes: Uint8Array): Promise<void> {
    return this.#turns.run(async () => {
      if (await this.records.offerEpochs([bytes])) this.#news.recordsChanged(true);
      await this.#adoptHead();
    });
  }

  /** Bytes of the newest generation that are not here, as far as its manifest is known. */
  leftBytes(): number {
    const view = this.content.head;
    if (view === null) return 1;
    return (view.piecesTotal - view.piecesPresent - view.piecesZero) * view.subject.geometry.chunkSizeBytes;
  }

  /**
   * Nothing of the disk begins here any more; DISK_ATTACHED while it is attached. With the `nonce` of receipts that were asked for just now, LAST_COPY
   * unless one of them still lets the copy go.
   */
  retire(nonce: Uint8Array | null): Promise<void> {
    return this.#turns.close(() => this.safety.assertRemovable(nonce));
  }

  /** The removal could not be recorded: the disk stays. */
  unretire(): void {
    this.#turns.open();
  }

  /** Removes everything but the records: no peer is served any more, no export is open. */
  async removeContent(): Promise<void> {
    await this.stop();
    await this.attachment.discardAll();
    await this.#env.store.remove(this.disk);
    await this.#env.store.reclaim().catch(this.#noted(`the space of disk "${this.name}" comes back later`));
  }

  /** What to do with a failure that is nobody's request: say it. */
  #noted(what: string): (error: unknown) => void {
    return (error) => this.#env.log.warn({ disk: this.disk }, `${what}: ${String(error)}`);
  }

  #adoptHead(): Promise<void> {
    return this.content.adopt(() => this.records.head);
  }
}
