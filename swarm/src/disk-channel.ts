/**
 * One disk between this host and one other: what both ask, answer and tell each other about it, over both lanes.
 *
 * The same BitTorrent conversation runs on each lane: control carries faults and everything small, bulk carries background
 * chunks and traces. Pieces are named by generation; a token names a request. Whether what comes is true is judged by the
 * handlers; what to ask is the scheduler's. The session opens and closes channels.
 */
import type { RangeSet } from '@diskswarm/bitfield';
import {
  type Address,
  type ChunkId,
  type DiskId,
  DiskswarmError,
  fromHex,
  type GenerationId,
  type HostId,
  type PieceIndex,
} from '@diskswarm/core';
import { infoHashOf, type SwarmSecret, topicOf } from '@diskswarm/identity';
import {
  BittorrentChannel,
  BULK_EXTENSIONS,
  CHANNEL_LANES,
  type ChannelLane,
  type ChunkBuffers,
  CONTROL_EXTENSIONS,
  claimsMessages,
  decodeExtension,
  type ExtensionMessage,
  encodeExtension,
  generationMessages,
  PACKED_EXTENSION,
  PieceSpaces,
} from '@diskswarm/wire';
import type { ChannelLink } from './channel-link.ts';
import { ChannelPacking } from './channel-packing.ts';
import { DiskHearing } from './disk-hearing.ts';
import { MAX_PEER_REQUESTS } from './limits.ts';
import type { PackingTotals } from './packing-statistics.ts';
import { PathRequests } from './path-requests.ts';
import { PeerServing } from './peer-serving.ts';
import type { ChannelClose, ChannelHandlers, DiskMembership, OfferedGeneration, RequestToken } from './ports.ts';
import { RateMeter } from './rate-meter.ts';
import { RosterGate } from './roster-gate.ts';

interface LaneHalf {
  readonly wire: BittorrentChannel;
  readonly serving: PeerServing;
  /** Tokens of our requests that wait, by index. */
  readonly tokens: Map<number, RequestToken>;
  opened: boolean;
}

export class DiskChannel {
  readonly disk: DiskId;
  /** Number on both lanes; the session's. */
  readonly number: number;
  readonly #link: ChannelLink;
  readonly #membership: DiskMembership;
  readonly #buffers: ChunkBuffers;
  readonly #spaces: PieceSpaces;
  readonly #halves: Readonly<Record<ChannelLane, LaneHalf>>;
  readonly #requests = new Map<RequestToken, { readonly lane: ChannelLane; readonly index: number }>();
  readonly #paths = new PathRequests();
  readonly #gate: RosterGate;
  readonly #hearing: DiskHearing;
  readonly #packing: ChannelPacking;
  readonly #received: RateMeter;
  readonly #sent: RateMeter;
  #handlers: ChannelHandlers | null = null;
  #nextToken = 1;
  #ready = false;
  #closed = false;

  /** `secret` is the one both sides proved. Nothing is sent before `open`. */
  constructor(link: ChannelLink, options: { number: number; membership: DiskMembership; secret: SwarmSecret }) {
    this.#link = link;
    this.number = options.number;
    this.#membership = options.membership;
    this.disk = options.membership.disk;
    this.#buffers = link.buffers(this.#membership.chunkSizeBytes);
    this.#spaces = new PieceSpaces({ initiator: link.initiator });
    this.#received = new RateMeter(link.clock);
    this.#sent = new RateMeter(link.clock);
    const infoHash = infoHashOf(topicOf(options.secret, this.disk));
    this.#packing = new ChannelPacking({
      membership: this.#membership,
      buffers: this.#buffers,
      budget: link.uploads.compression,
      handlers: () => this.#handlers,
      askAgain: (lane, index, token) => this.#ask(lane, index, token, null),
      tell: (compressed) => this.#say({ kind: 'packing', compressed }),
      failed: (error) => this.#failed(error),
    });
    this.#halves = { control: this.#half('control', infoHash), bulk: this.#half('bulk', infoHash) };
    this.#gate = new RosterGate({
      accept: (bundle) => this.#membership.takeRoster(bundle),
      lanesWork: () => CHANNEL_LANES.every((kind) => this.#halves[kind].wire.ready && !this.isChoked(kind)),
      onOpen: () => {
        if (this.#ready) return;
        this.#ready = true;
        this.#handlers?.onReady();
      },
      onError: (error) => this.#failed(error),
    });
    this.#hearing = new DiskHearing({
      gate: this.#gate,
      spaces: this.#spaces,
      paths: this.#paths,
      handlers: () => this.#handlers,
      onPath: (message) =>
        this.#halves.control.serving.pathRequested(message, (pages) =>
          this.#say({ kind: 'pages', request: message.request, pages }),
        ),
      onPacking: (compressed) => this.#packing.serving.accept(compressed),
    });
  }

  /** The peer. */
  get host(): HostId {
    return this.#link.host;
  }

  /** Where the peer listens when that is known, else where its connection comes from. */
  get address(): Address {
    return this.#link.address;
  }

  /** True at the side that dialled the session. */
  get initiator(): boolean {
    return this.#link.initiator;
  }

  get chunkSizeBytes(): number {
    return this.#membership.chunkSizeBytes;
  }

  /** Rosters are exchanged and both lanes take requests. */
  get ready(): boolean {
    return this.#ready && !this.#closed;
  }

  /** Lanes that work. */
  get lanes(): ChannelLane[] {
    return CHANNEL_LANES.filter((kind) => this.#halves[kind].wire.ready);
  }

  /** Last measured round trip of the control lane, microseconds; null when not known yet. */
  get rttUs(): number | null {
    return this.#link.lane('control')?.rttUs ?? null;
  }

  /** Chunk bytes from this peer: in total, and per second over the last five. */
  get received(): { readonly totalBytes: number; readonly bytesPerSecond: number } {
    return this.#received;
  }

  /** Chunk bytes to this peer. */
  get sent(): { readonly totalBytes: number; readonly bytesPerSecond: number } {
    return this.#sent;
  }

  /** Chunks of this disk that travelled between the two in fewer bytes than they have, since the channel was opened. */
  get packing(): { readonly sent: PackingTotals; readonly received: PackingTotals } {
    return this.#packing.totals;
  }

  /** Requests of ours that wait for an answer. */
  get outstanding(): number {
    return this.#requests.size;
  }

  /** True when the peer takes no requests for now. */
  isChoked(lane: ChannelLane): boolean {
    return this.#halves[lane].wire.peerChoking;
  }

  /**
   * Asks for a chunk; the answer comes as `onPiece` or `onRejected` with the token returned.
   * `base` is a chunk that is here, of which the answer may be told as what differs.
   * Null when that cannot be sent: not ready, choked, already asked on this lane, or nobody opened the generation here.
   */
  request(wanted: {
    generation: GenerationId;
    piece: PieceIndex;
    lane: ChannelLane;
    base?: ChunkId | null;
  }): RequestToken | null {
    const space = this.#spaces.of(wanted.generation);
    if (!this.ready || space === undefined || wanted.piece >= space.pieces) return null;
    const token = this.#nextToken++;
    return this.#ask(wanted.lane, space.space + wanted.piece, token, wanted.base ?? null) ? token : null;
  }

  /** Whether chunks may come compressed from now on. */
  acceptCompressed(compressed: boolean): void {
    this.#packing.accept(compressed);
  }

  /** Takes a request back: no answer is told. Unknown and answered tokens are fine. */
  cancel(token: RequestToken): void {
    this.#packing.arrivals.forget(token);
    const request = this.#requests.get(token);
    if (request === undefined) return;
    this.#requests.delete(token);
    const half = this.#halves[request.lane];
    half.tokens.delete(request.index);
    half.wire.cancel(request.index);
  }

  /**
   * Asks for the manifest pages of a piece's path, `fromLevel` down to the leaf; goes before chunk requests made after it.
   * Null when the peer lacks them. Pages are not verified. Rejects: ABORTED, PEER_UNREACHABLE, LIMIT_EXCEEDED.
   */
  requestPath(
    wanted: { root: ChunkId; piece: PieceIndex; fromLevel: number },
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<readonly Uint8Array[] | null> {
    if (!this.ready) return Promise.reject(new DiskswarmError('PEER_UNREACHABLE', 'the peer is not ready'));
    return this.#paths.ask((request) => this.#say({ kind: 'path', request, ...wanted }), signal);
  }

  /** True when either side opened the generation here, so that its pieces can be asked for and claimed. */
  knows(generation: GenerationId): boolean {
    return this.#spaces.of(generation) !== undefined;
  }

  /** Tells the peer of a generation and opens its pieces. False when the channel is renewed for want of room: wait for the next. */
  openGeneration(offered: OfferedGeneration): boolean {
    if (this.#closed || this.knows(offered.generation)) return !this.#closed;
    const opened = this.#spaces.open(offered.generation, offered.pieces);
    if (opened === null) {
      this.#link.renew(this);
      return false;
    }
    const message = { kind: 'generation', space: opened.space, ...offered } as const;
    for (const part of generationMessages(message)) this.#say(part);
    return true;
  }

  /** Tells what this host has and lacks of a generation that is open here, besides what was told before. */
  sendClaims(generation: GenerationId, has: RangeSet, lacks: RangeSet): void {
    const space = this.#spaces.of(generation);
    if (space === undefined) return;
    for (const message of claimsMessages(space.space, has, lacks)) this.#say(message);
  }

  /** Gives a chunk's array back for the next one, when nobody looks at it any more. Optional: one that is kept is not given back. */
  release(bytes: Uint8Array): void {
    this.#buffers.give(bytes);
  }

  sendRoster(bundle: Uint8Array): void {
    this.#say({ kind: 'roster', bundle });
  }

  sendOwnership(message: Uint8Array): void {
    this.#say({ kind: 'ownership', message });
  }

  sendMigration(message: Uint8Array): void {
    this.#say({ kind: 'migration', message });
  }

  /** Travels on the bulk lane. LIMIT_EXCEEDED when it does not fit a message. */
  sendTrace(generation: GenerationId, trace: Uint8Array): void {
    this.#say({ kind: 'trace', generation, trace });
  }

  /** The peer lied or broke a rule that only the user of this channel knows: the session ends, the host is kept away. */
  misbehaved(why: string): void {
    this.#link.fail(new DiskswarmError('PEER_MISBEHAVED', why, { data: { host: this.host } }));
  }

  /** Begins the conversation; the side that was dialled answers on each lane when spoken to. Called by the session, once. */
  open(): void {
    this.#handlers = this.#membership.onChannel(this);
    if (this.initiator) for (const kind of CHANNEL_LANES) this.#openHalf(this.#halves[kind]);
  }

  /** Takes the channel's bytes of a lane; throws DiskswarmError on misbehaviour. Called by the session. */
  receive(lane: ChannelLane, bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#openHalf(this.#halves[lane]);
    this.#halves[lane].wire.receive(bytes);
  }

  /** Ends it. Called by the session; idempotent. */
  close(reason: ChannelClose): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#gate.close();
    for (const kind of CHANNEL_LANES) {
      this.#halves[kind].wire.close();
      this.#halves[kind].serving.close();
      this.#link.lane(kind)?.forget(this.number);
    }
    this.#requests.clear();
    this.#paths.close();
    this.#packing.arrivals.close();
    this.#handlers?.onClose(reason);
    this.#handlers = null;
  }

  #half(kind: ChannelLane, infoHash: Uint8Array): LaneHalf {
    const { chunkSizeBytes } = this.#membership;
    const wire: BittorrentChannel = new BittorrentChannel(
      {
        infoHash,
        peerId: fromHex(this.#link.self).slice(0, 20),
        chunkSizeBytes,
        extensions: kind === 'control' ? CONTROL_EXTENSIONS : BULK_EXTENSIONS,
        maxPeerRequests: MAX_PEER_REQUESTS,
        buffers: this.#buffers,
      },
      {
        send: (views, piece) => {
          const done = piece === null ? undefined : (): void => serving.left(piece, views.at(-1)!);
          this.#link.lane(kind)?.send(this.number, views, piece, done);
        },
        onReady: () => {
          if (kind === 'control') this.sendRoster(this.#membership.rosterBundle());
          this.#gate.update();
        },
        onRequest: (index, base) => serving.requested(index, base),
        onCancel: (index) => serving.cancelled(index),
        onPiece: (index, bytes, cancelled) => {
          this.#received.add(bytes.length);
          const token = cancelled ? undefined : this.#answered(kind, index);
          if (token === undefined) return this.release(bytes);
          this.#packing.arrivals.forget(token);
          this.#handlers?.onPiece(token, bytes, bytes.length);
        },
        onPacked: (index, packed, cancelled) => {
          this.#received.add(packed.body.length);
          const token = cancelled ? undefined : this.#answered(kind, index);
          if (token !== undefined) this.#packing.arrivals.take(kind, index, token, packed);
        },
        onReject: (index, cancelled) => {
          const token = cancelled ? undefined : this.#answered(kind, index);
          if (token === undefined) return;
          this.#packing.arrivals.forget(token);
          this.#handlers?.onRejected(token);
        },
        onChoke: () => this.#gate.update(),
        onExtension: (name, payload) => this.#hearing.hear(decodeExtension(name, payload), payload.length),
      },
    );
    const serving = new PeerServing({
      lane: kind,
      host: this.#link.host,
      membership: this.#membership,
      spaces: this.#spaces,
      uploads: this.#link.uploads,
      gate: kind === 'control' ? this.#link.share.faults : this.#link.share.background,
      buffers: this.#buffers,
      sent: this.#sent,
      packing: () => (wire.supports(PACKED_EXTENSION) ? this.#packing.serving : null),
      wire: () => wire,
      backlogBytes: () => this.#link.lane(kind)?.backlogBytesOf(this.number) ?? 0,
      drop: (index) => this.#link.lane(kind)?.drop(this.number, index) ?? false,
    });
    return { wire, serving, tokens: new Map(), opened: false };
  }

  #openHalf(half: LaneHalf): void {
    if (half.opened) return;
    half.opened = true;
    half.wire.open();
  }

  #ask(lane: ChannelLane, index: number, token: RequestToken, base: ChunkId | null): boolean {
    const half = this.#halves[lane];
    if (!half.wire.request(index, base)) return false;
    half.tokens.set(index, token);
    this.#requests.set(token, { lane, index });
    return true;
  }

  #answered(lane: ChannelLane, index: number): RequestToken | undefined {
    const { tokens } = this.#halves[lane];
    const token = tokens.get(index);
    tokens.delete(index);
    if (token !== undefined) this.#requests.delete(token);
    return token;
  }

  #say(message: ExtensionMessage): void {
    if (this.#closed) return;
    const { name, payload } = encodeExtension(message);
    this.#halves[message.kind === 'trace' ? 'bulk' : 'control'].wire.extension(name, payload);
  }

  #failed(error: unknown): void {
    if (error instanceof DiskswarmError) this.#link.fail(error);
    else throw error;
  }
}
