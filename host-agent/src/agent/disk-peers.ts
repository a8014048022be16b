/**
 * What the hosts of one disk tell each other through this host: rosters, generations, claims, traces and messages of ownership.
 *
 * One link per connected host. Records are checked and durable before they are used or passed on; claims name only pieces that are durable
 * here. Fetching is the scheduler's business, which reads the links' availability.
 */

import { RangeSet } from '@diskswarm/bitfield';
import {
  type ChunkId,
  type Clock,
  DiskswarmError,
  type ErrorCode,
  type GenerationId,
  type HostId,
  hasCode,
  type PieceIndex,
  sleep,
} from '@diskswarm/core';
import { type EpochRecord, type Generation, memberOf, type SwarmSecret } from '@diskswarm/identity';
import { decodeOwnershipMessage, encodeOwnershipMessage, type OwnershipMessage } from '@diskswarm/ownership';
import type {
  ChannelHandlers,
  DiskChannel,
  DiskMembership,
  DiskServer,
  FetchDisk,
  FetchEngine,
  FetchHolder,
  OfferedGeneration,
} from '@diskswarm/swarm';
import type { DiskContent } from './disk-content.ts';
import { bytesKey, type DiskRecords } from './disk-records.ts';
import { firstAnswer } from './first-answer.ts';
import type { GenerationView } from './generation-view.ts';
import type { PathSource } from './page-fetch.ts';
import { PeerLink } from './peer-link.ts';
import { Turns } from './turns.ts';

/** Generations, epoch records and messages of ownership of one peer for one disk that wait to be looked at: a long chain comes record by record. */
const MAX_QUEUED_RECORDS = 8192;
/** Generations besides the newest that a host which connects is told of. */
const MAX_OLDER_OPEN = 16;
/** A host that was asked for manifest pages may be silent for four round trips, and at least so long, before the next is asked too. */
const LEAST_PATH_PATIENCE_MS = 250;

/** What happens that is more than a link's business. */
export interface PeersListener {
  rosterChanged(): void;
  /** Epochs or generations were learned; `head` tells whether the newest generation is another now. */
  recordsChanged(head: boolean): void;
  linkReady(link: PeerLink): void;
  linkClosed(): void;
  trace(generation: GenerationId, trace: Uint8Array): void;
  ownership(from: HostId, message: OwnershipMessage): Promise<void>;
  /** A message of a live migration, from a host that the roster admits. */
  migration(from: HostId, message: Uint8Array): void;
  warn(message: string, error: unknown): void;
}

/** Errors that say a record was made up, not merely that it does not fit what we know. */
const FORGERY: readonly ErrorCode[] = ['FORMAT_INVALID', 'SIGNATURE_INVALID', 'INVALID_ID', 'PROTOCOL_ERROR'];

export class DiskPeers implements DiskMembership, PathSource, FetchDisk {
  readonly server: DiskServer;
  readonly #records: DiskRecords;
  readonly #listener: PeersListener;
  readonly #fetch: FetchEngine;
  readonly #clock: Clock;
  readonly #content: () => Pick<DiskContent, 'head' | 'history'>;
  readonly #trace: () => Uint8Array | null;
  readonly #links = new Map<DiskChannel, PeerLink>();
  readonly #waiters = new Set<() => void>();
  /** Generations besides the newest that are in use here. */
  #older: { readonly generation: GenerationId; readonly pieces: number }[] = [];
  /** Counts what may change the answer of a path request. */
  #changes = 0;

  constructor(options: {
    records: DiskRecords;
    server: DiskServer;
    fetch: FetchEngine;
    clock: Clock;
    listener: PeersListener;
    content: () => Pick<DiskContent, 'head' | 'history'>;
    trace: () => Uint8Array | null;
  }) {
    this.#records = options.records;
    this.server = options.server;
    this.#listener = options.listener;
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#content = options.content;
    this.#trace = options.trace;
  }

  get disk(): DiskRecords['disk'] {
    return this.#records.disk;
  }
  get chunkSizeBytes(): number {
    return this.#records.genesis.chunkSizeBytes;
  }
  secrets(): readonly SwarmSecret[] {
    return this.#records.secrets;
  }
  admits(host: HostId): boolean {
    const member = memberOf(this.#records.roster, host);
    return member !== null && member.revoked === undefined;
  }
  rosterBundle(): Uint8Array {
    return this.#records.roster.bytes;
  }
  async takeRoster(bundle: Uint8Array): Promise<void> {
    if ((await this.#records.offerRoster(bundle)) === 'newer') this.#listener.rosterChanged();
  }

  /** The generation whose manifest has this root, as peers name it. */
  generationOf(root: ChunkId): GenerationId | null {
    const head = this.#content().head;
    if (head?.subject.root === root) return head.subject.generation;
    return this.#records.generationAt(root)?.id ?? null;
  }

  baseOf(piece: PieceIndex): ChunkId | null {
    return this.#content().history.baseOf(piece);
  }

  *holders(generation: GenerationId, piece: PieceIndex): Generator<FetchHolder> {
    for (const link of this.#links.values()) {
      const { channel } = link;
      if (!channel.ready || !channel.knows(generation)) continue;
      const state = link.claimsOf(generation)?.stateOf(piece) ?? 'unknown';
      if (state !== 'lacks') yield { channel, certainty: state };
    }
  }

  /** Links that are ready. */
  links(): PeerLink[] {
    return [...this.#links.values()].filter((link) => link.channel.ready);
  }

  link(host: HostId): PeerLink | undefined {
    return this.links().find((link) => link.host === host);
  }

  onChannel(channel: DiskChannel): ChannelHandlers {
    const link = new PeerLink(channel);
    this.#links.set(channel, link);
    // Records of one peer are taken in the order they came.
    const queue = new Turns();
    let queued = 0;
    const inTurn = (run: () => Promise<void>): void => {
      if (queued >= MAX_QUEUED_RECORDS) {
        channel.misbehaved(`${MAX_QUEUED_RECORDS} records and messages that wait to be looked at`);
        return;
      }
      queued++;
      queue
        .run(run)
        .catch((error: unknown) => this.#refused(link, error))
        .finally(() => queued--);
    };
    return {
      onReady: () => {
        this.announce(link);
        for (const older of this.#older) this.#openOlder(link, older);
        this.#fetch.channelReady(channel, this.disk);
        this.#listener.linkReady(link);
        this.#wake();
      },
      onGeneration: (offered) => inTurn(() => this.#onGeneration(link, offered)),
      onClaims: (generation, has, lacks) => {
        try {
          link.learn(generation, has, lacks);
        } catch (error) {
          this.#refused(link, error);
          return;
        }
        this.#fetch.claimsChanged(channel);
      },
      onPiece: (token, bytes, wireBytes) => this.#fetch.piece(channel, token, bytes, wireBytes),
      onRejected: (token) => this.#fetch.rejected(channel, token),
      onTrace: (generation, trace) => this.#listener.trace(generation, trace),
      onMigration: (message) => this.#listener.migration(link.host, new Uint8Array(message)),
      onOwnership: (message) => {
        const copy = new Uint8Array(message);
        inTurn(async () => {
          const decoded = decodeOwnershipMessage(copy);
          if (decoded.disk !== this.disk)
            throw new DiskswarmError('PROTOCOL_ERROR', 'a message of ownership about another disk');
          if (decoded.kind === 'epoch') await this.#onEpochs(link, [decoded.record]);
          else await this.#listener.ownership(link.host, decoded);
        });
      },
      onClose: () => {
        this.#links.delete(channel);
        this.#fetch.channelClosed(channel);
        this.#listener.linkClosed();
        this.#wake();
      },
    };
  }

  /** Tells a host of the newest generation and of what is here of it. */
  announce(link: PeerLink): void {
    const head = this.#records.head;
    const view = this.#content().head;
    if (head === null || view === null || view.subject.generation !== head.id) return;
    if (!this.#open(link, head, view.piecesTotal)) return;
    this.#claimAll(link, view);
    const trace = this.#trace();
    if (trace !== null) link.channel.sendTrace(head.id, trace);
  }

  /** The newest generation is another, or better known: tells every host; `changed` are the pieces that differ from the one before. */
  announceAll(changed: { readonly since: GenerationId; readonly pieces: RangeSet } | null): void {
    const view = this.#content().head;
    if (view === null) return;
    const { generation } = view.subject;
    for (const link of this.links()) {
      if (changed !== null) link.inherit(generation, changed.since, changed.pieces);
      if (changed !== null && link.told.has(changed.since) && !link.told.has(generation)) {
        link.told.add(generation);
        this.announceRecord(link);
        link.channel.sendClaims(generation, view.durablePieces().intersect(changed.pieces), new RangeSet());
      } else this.announce(link);
      this.#fetch.claimsChanged(link.channel);
    }
    this.#wake();
  }

  /** Tells a host of the newest generation, without claims. */
  announceRecord(link: PeerLink): void {
    const { head } = this.#records;
    const view = this.#content().head;
    if (head === null || view === null || view.subject.generation !== head.id) return;
    this.#open(link, head, view.piecesTotal);
  }

  /** Opens a generation together with the epoch records; where either side opened it before, the records that came since are told alone. */
  #open(link: PeerLink, generation: Generation, pieces: number): boolean {
    const { channel } = link;
    const { records } = this.#records.chain;
    if (channel.knows(generation.id)) {
      this.#tellEpochs(link);
      return true;
    }
    // All of them, told before or not: one that the host refused for what it lacked then may fit now.
    const epochs = records.map((record) => record.bytes);
    if (!channel.openGeneration({ generation: generation.id, pieces, record: generation.bytes, epochs })) return false;
    for (const { bytes } of records) link.epochs.add(bytesKey(bytes));
    return true;
  }

  /** Chunks of a generation that is not the newest are asked for: hosts that connect later are told of it too. The last few are kept. */
  keepOpen(view: { readonly subject: { readonly generation: GenerationId }; readonly piecesTotal: number }): void {
    const { generation } = view.subject;
    const older = { generation, pieces: view.piecesTotal };
    this.#older = [...this.#older.filter((known) => known.generation !== generation), older].slice(-MAX_OLDER_OPEN);
    for (const link of this.links()) this.#openOlder(link, older);
  }

  #openOlder(link: PeerLink, { generation, pieces }: { generation: GenerationId; pieces: number }): void {
    const record = this.#records.generation(generation);
    if (record !== null && this.#open(link, record, pieces)) this.#fetch.claimsChanged(link.channel);
  }

  /** Those that the host may lack, each after the one it follows. */
  #tellEpochs(link: PeerLink): void {
    const rank = (record: EpochRecord): number => 2 * record.epoch + (record.kind === 'refuse' ? 1 : 0);
    const fresh = this.#records.chain.records.filter(({ bytes }) => !link.epochs.has(bytesKey(bytes)));
    for (const record of fresh.sort((left, right) => rank(left) - rank(right))) {
      link.epochs.add(bytesKey(record.bytes));
      link.channel.sendOwnership(encodeOwnershipMessage({ kind: 'epoch', disk: this.disk, record: record.bytes }));
    }
  }

  /** Tells every host of pieces that are durable here now. */
  claim(view: GenerationView, pieces: readonly PieceIndex[]): void {
    const has = new RangeSet();
    for (const piece of pieces) has.add(piece);
    for (const link of this.links()) {
      if (link.channel.knows(view.subject.generation))
        link.channel.sendClaims(view.subject.generation, has, new RangeSet());
    }
  }

  send(to: HostId, message: OwnershipMessage): void {
    this.link(to)?.channel.sendOwnership(encodeOwnershipMessage(message));
  }

  /** Sends to the host; false when it is not connected. */
  sendMigration(to: HostId, message: Uint8Array): boolean {
    const link = this.link(to);
    link?.channel.sendMigration(message);
    return link !== undefined;
  }

  sendAll(message: OwnershipMessage): void {
    const bytes = encodeOwnershipMessage(message);
    for (const link of this.links()) link.channel.sendOwnership(bytes);
  }

  /** Asks the hosts for the pages of a path, the nearest first; waits for another host when none has them. */
  async requestPath(
    request: { root: ChunkId; piece: PieceIndex; fromLevel: number },
    { signal }: { signal: AbortSignal },
  ): ReturnType<PathSource['requestPath']> {
    for (;;) {
      signal.throwIfAborted();
      const seen = this.#changes;
      let busy = false;
      const byDelay = this.links().toSorted((left, right) => (left.channel.rttUs ?? 0) - (right.channel.rttUs ?? 0));
      const answer = await firstAnswer(byDelay, {
        clock: this.#clock,
        patienceMs: ({ channel }) => Math.max(LEAST_PATH_PATIENCE_MS, (4 * (channel.rttUs ?? 0)) / 1000),
        signal,
        ask: async ({ channel }, options) => {
          const pages = await channel.requestPath(request, options).catch((error: unknown) => {
            busy ||= hasCode(error, 'LIMIT_EXCEEDED');
            if (error instanceof DiskswarmError) return null;
            throw error;
          });
          if (pages === null || pages.length === 0) return null;
          return { pages, wrong: (error: Error) => channel.misbehaved(`wrong manifest pages: ${error.message}`) };
        },
      });
      if (answer !== null) return answer;
      // A host that was asked too much already says nothing about the path: it is asked again once it may have answered.
      if (busy) await sleep(this.#clock, LEAST_PATH_PATIENCE_MS, { signal });
      else if (seen === this.#changes) await this.#nextChange(signal);
    }
  }

  #claimAll(link: PeerLink, view: GenerationView): void {
    const has = view.durablePieces();
    const lacks = new RangeSet();
    if (view.allLeavesKnown) lacks.add(0, view.piecesTotal);
    link.channel.sendClaims(view.subject.generation, has, lacks.subtract(has));
    if (view.allLeavesKnown) link.told.add(view.subject.generation);
  }

  async #onGeneration(link: PeerLink, offered: OfferedGeneration): Promise<void> {
    const before = this.#records.head;
    const newEpochs = await this.#takeEpochs(link, offered.epochs);
    const known = this.#records.generation(offered.generation) !== null;
    const generation = known ? null : await this.#records.offerGeneration(offered.record);
    if (generation !== null && generation.id !== offered.generation)
      throw new DiskswarmError('PROTOCOL_ERROR', 'a generation under another name');
    const head = this.#records.head?.id !== before?.id;
    if (newEpochs || head) this.#listener.recordsChanged(head);
    const view = this.#content().head;
    if (view !== null && view.subject.generation === offered.generation && !link.told.has(offered.generation))
      this.#claimAll(link, view);
    this.#fetch.claimsChanged(link.channel); // The generation can be asked for on this channel now.
    this.#wake();
  }

  async #onEpochs(link: PeerLink, epochs: readonly Uint8Array[]): Promise<void> {
    const before = this.#records.head;
    if (await this.#takeEpochs(link, epochs)) this.#listener.recordsChanged(this.#records.head?.id !== before?.id);
  }

  async #takeEpochs(link: PeerLink, epochs: readonly Uint8Array[]): Promise<boolean> {
    const changed = await this.#records.offerEpochs(epochs);
    for (const bytes of epochs) link.epochs.add(bytesKey(bytes));
    return changed;
  }

  #refused(link: PeerLink, error: unknown): void {
    this.#listener.warn(`host ${link.host} sent something that was refused`, error);
    if (error instanceof DiskswarmError && FORGERY.includes(error.code)) link.channel.misbehaved(error.message);
  }

  #wake(): void {
    this.#changes++;
    for (const wake of [...this.#waiters]) wake();
  }

  /** Resolves when a link comes or goes, or a generation is announced. */
  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#waiters.delete(done);
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#waiters.delete(done);
        reject(new DiskswarmError('ABORTED', 'the path request was given up'));
      };
      this.#waiters.add(done);
      signal.addEventListener('abort', aborted, { once: true });
    });
  }
}
