/**
 * All sessions of this host: who is dialled, who is let in, which of two connections to one host survives.
 *
 * The composition of lanes, sessions, channels, serving and limits over an injected Transport, Clock and Random. It knows
 * disks by the memberships given to it; it judges hosts (proof, roster, bans), never bytes. Constructor without effects;
 * `stop` is idempotent and ends every connection.
 */
import {
  type Address,
  type Clock,
  type Connection,
  type ConnectionHandlers,
  type DiskId,
  DiskswarmError,
  fromHex,
  type HostId,
  hasCode,
  type Listener,
  parseAddress,
  type Timer,
  toHex,
} from '@diskswarm/core';
import { ChunkBuffers, LANE_CLASSES, type LaneClass, type LaneHello, NONCE_BYTES } from '@diskswarm/wire';
import { listenAddress, refused } from './accepted.ts';
import { type Ban, Bans, MISBEHAVIOUR } from './bans.ts';
import type { DiskChannel } from './disk-channel.ts';
import { DownloadLimiter } from './download-limiter.ts';
import { LaneDialer } from './lane-dialer.ts';
import { type ProofCandidate, type ProvenLane, proveAsResponder } from './lane-handshake.ts';
import { MAX_DIALS, MAX_SESSIONS, MAX_SPARE_BYTES, MAX_UNPROVEN_LANES, MISBEHAVIOUR_BAN_MS } from './limits.ts';
import type { LinkSplit } from './link-share.ts';
import { type AddressSource, type DueDial, PeerBook } from './peer-book.ts';
import type { DiskMembership } from './ports.ts';
import { type RosterExchange, rosterExchange } from './roster-letter.ts';
import { Session } from './session.ts';
import { SessionChoice } from './session-choice.ts';
import type { SessionHost } from './session-host.ts';
import type { PeerStream, StreamHandlers } from './streams.ts';
import type { PeerInfo, SwarmOptions } from './swarm-options.ts';
import { TokenBucket } from './token-bucket.ts';
import { TokenDoors } from './token-door.ts';
import { UploadQueue } from './upload-queue.ts';

export class Swarm {
  readonly #options: SwarmOptions;
  readonly #clock: Clock;
  readonly #self: HostId;
  readonly #instance: Uint8Array;
  readonly #memberships = new Map<DiskId, DiskMembership>();
  readonly #sessions = new Map<HostId, Session>();
  /** Accepted connections whose host is not known yet, oldest first. */
  readonly #unproven = new Set<Connection>();
  readonly #dialer: LaneDialer;
  readonly #buffers = new Map<number, ChunkBuffers>();
  readonly #bans: Bans;
  readonly #book: PeerBook;
  readonly #choice: SessionChoice;
  readonly #uploadLimit: TokenBucket;
  readonly #downloadLimit: TokenBucket;
  readonly #uploads: UploadQueue;
  readonly #downloads: DownloadLimiter;
  readonly #guests: TokenDoors;
  readonly #rosters: RosterExchange;
  #listener: Listener | null = null;
  #timer: Timer | null = null;
  #running = false;

  constructor(options: SwarmOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#clock = clock;
    this.#self = options.keys.hostId;
    this.#instance = random.bytes(NONCE_BYTES);
    this.#bans = new Bans(clock);
    this.#book = new PeerBook(random);
    this.#choice = new SessionChoice(this.#self, clock);
    this.#guests = new TokenDoors(clock, options.doors ?? (() => []));
    this.#dialer = new LaneDialer(options.transport);
    this.#rosters = rosterExchange(this.#memberships, (host) => host === this.#self || this.#bans.has(host));
    this.#uploadLimit = new TokenBucket(clock, options.uploadBytesPerSecond ?? null);
    this.#downloadLimit = new TokenBucket(clock, options.downloadBytesPerSecond ?? null);
    this.#uploads = new UploadQueue(clock, this.#uploadLimit);
    this.#downloads = new DownloadLimiter(clock, this.#downloadLimit);
  }

  /** What may leave this host; whoever sends besides the swarm books it here. */
  get uploadLimit(): TokenBucket {
    return this.#uploadLimit;
  }

  /** Begins to accept and to dial; resolves with the address bound. Without `listen` it only dials. */
  async start({ listen }: { listen?: Address } = {}): Promise<Address | null> {
    if (listen !== undefined) {
      this.#listener = await this.#options.transport.listen(listen, (connection) => this.#accept(connection));
    }
    this.#running = true;
    this.#dialDue();
    return this.#listener?.address ?? null;
  }

  /** Ends every session and stops accepting. Idempotent. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = null;
    const listener = this.#listener;
    this.#listener = null;
    this.#dialer.stop();
    for (const connection of [...this.#unproven, ...this.#guests.connections]) connection.destroy();
    for (const session of [...this.#sessions.values()]) session.close();
    this.#uploads.stop();
    this.#downloads.stop();
    await listener?.close();
  }

  /** Shares a disk with the hosts its roster admits. */
  addDisk(membership: DiskMembership): void {
    this.#memberships.set(membership.disk, membership);
    this.#refresh();
  }

  /** Shares it no more; its channels are shut. */
  removeDisk(disk: DiskId): void {
    this.#memberships.delete(disk);
    this.#book.removeDisk(disk);
    this.#refresh();
  }

  /** The roster or the secrets of a disk changed: tells peers and shuts out who is revoked. */
  rosterChanged(disk: DiskId): void {
    const membership = this.#memberships.get(disk);
    if (membership === undefined) return;
    // Who is revoked learns it too, before its channel is shut.
    for (const channel of this.channels(disk)) channel.sendRoster(membership.rosterBundle());
    this.#refresh();
  }

  /** Hosts of `disk` may be at `address`; INVALID_ARGUMENT when it is none. */
  addPeerAddress(disk: DiskId, address: Address, source: AddressSource): void {
    if (parseAddress(address).port === 0)
      throw new DiskswarmError('INVALID_ARGUMENT', 'a peer has a port', { data: { address } });
    if (this.#memberships.has(disk) && this.#book.add(disk, address, source)) this.#dialDue();
  }

  /** Connected hosts. */
  peers(): PeerInfo[] {
    return [...this.#sessions.values()]
      .filter((session) => session.up)
      .map(({ host, address, initiator, lanes, rttUs, channels }) => ({
        host,
        address,
        initiator,
        lanes,
        rttUs,
        channels,
      }));
  }

  /** Channels of a disk that are ready. */
  channels(disk: DiskId): DiskChannel[] {
    return [...this.#sessions.values()].flatMap((session) =>
      session.channels.filter((channel) => channel.disk === disk && channel.ready),
    );
  }

  /** Opens a byte stream to a connected host; PEER_UNREACHABLE, LIMIT_EXCEEDED. */
  openStream(host: HostId, label: string, handlers: (stream: PeerStream) => StreamHandlers): PeerStream {
    const session = this.#sessions.get(host);
    if (session === undefined)
      throw new DiskswarmError('PEER_UNREACHABLE', `host ${host} is not connected`, { data: { host } });
    return session.openStream(label, handlers);
  }

  /** Splits the link to a host between memory and background until it is split anew, in this session and those that follow; null: as ever. */
  splitLink(host: HostId, split: LinkSplit | null): void {
    this.#choice.split(host, split, this.#sessions.get(host));
  }

  /** Looks for no better way to a host than its session has, until what is returned is called: for what would end with the session. */
  keepWay(host: HostId): () => void {
    return this.#choice.keep(host, () => this.#dialDue());
  }

  /** Keeps a host away for `durationMs` and ends its session. */
  ban(host: HostId, durationMs: number, reason: string): void {
    this.#bans.add(host, durationMs, reason);
    this.#sessions.get(host)?.close(new DiskswarmError('ABORTED', `banned: ${reason}`, { data: { host } }));
  }

  /** Lifts a ban; false when there is none. */
  unban(host: HostId): boolean {
    const lifted = this.#bans.remove(host);
    if (lifted) this.#dialDue();
    return lifted;
  }

  bans(): Ban[] {
    return this.#bans.list();
  }

  /** Changes the limits at once; null for none. */
  setLimits(limits: { uploadBytesPerSecond?: number | null; downloadBytesPerSecond?: number | null }): void {
    if (limits.uploadBytesPerSecond !== undefined) this.#uploadLimit.setRate(limits.uploadBytesPerSecond);
    if (limits.downloadBytesPerSecond !== undefined) this.#downloadLimit.setRate(limits.downloadBytesPerSecond);
    this.#uploads.pump();
    this.#downloads.update();
  }

  #refresh(): void {
    for (const session of [...this.#sessions.values()]) session.refresh();
    this.#dialDue();
  }

  #sessionHost(dialled: Address | null): SessionHost {
    return {
      clock: this.#clock,
      self: this.#self,
      uploads: this.#uploads,
      downloads: this.#downloads,
      uploadLimit: this.#uploadLimit,
      acceptStream: (stream) => this.#options.onStream?.(stream) ?? null,
      buffers: (chunkSizeBytes) => this.#buffersOf(chunkSizeBytes),
      memberships: () => this.#memberships.values(),
      onUp: (session) => {
        if (!session.initiator || dialled === null) return;
        for (const kind of LANE_CLASSES) if (kind !== 'control') void this.#dialLane(session, kind, dialled);
      },
      onClosed: (session, error) => this.#closed(session, error),
    };
  }

  #buffersOf(chunkSizeBytes: number): ChunkBuffers {
    let buffers = this.#buffers.get(chunkSizeBytes);
    if (buffers === undefined) {
      buffers = new ChunkBuffers({ chunkSizeBytes, max: Math.max(1, Math.floor(MAX_SPARE_BYTES / chunkSizeBytes)) });
      this.#buffers.set(chunkSizeBytes, buffers);
    }
    return buffers;
  }

  #admits(disk: DiskId, host: HostId): boolean {
    return host !== this.#self && !this.#bans.has(host) && this.#memberships.get(disk)?.admits(host) === true;
  }

  #hello(lane: LaneHello['lane']): LaneHello {
    const listenPort = this.#listener === null ? 0 : parseAddress(this.#listener.address).port;
    return { instance: this.#instance, listenPort, lane };
  }

  #accept(connection: Connection): void {
    const oldest = this.#unproven.values().next().value;
    if (this.#unproven.size >= MAX_UNPROVEN_LANES) oldest?.destroy();
    this.#unproven.add(connection);
    proveAsResponder(connection, {
      clock: this.#clock,
      keys: this.#options.keys,
      hello: this.#hello(null),
      candidates: () => this.#candidates(),
      admits: (disk, host) => this.#admits(disk, host),
      rosters: this.#rosters,
      onFailed: () => this.#unproven.delete(connection),
      onProven: (lane) => {
        this.#unproven.delete(connection);
        return lane.welcome?.(lane) ?? this.#attachAccepted(lane);
      },
    });
  }

  #candidates(): ProofCandidate[] {
    const ours = [...this.#memberships.values()].flatMap((membership) =>
      membership.secrets().map((secret) => ({ disk: membership.disk, secret })),
    );
    return [...ours, ...this.#guests.candidates()];
  }

  #attachAccepted(proven: ProvenLane): ConnectionHandlers {
    const { host, hello, connection } = proven;
    const { kind, session: nonce } = hello.lane!;
    const id = toHex(nonce);
    const known = this.#sessions.get(host);
    if (kind !== 'control') {
      if (known?.id === id && !known.initiator && known.lacks(kind)) return known.attach(kind, proven);
      return refused(connection);
    }
    const instance = toHex(hello.instance);
    const address = listenAddress(connection.remoteAddress, hello.listenPort);
    if (!this.#running || (known !== undefined && !this.#choice.makesWay(known, address, instance)))
      return refused(connection);
    if (this.#sessions.size >= MAX_SESSIONS) return refused(connection);
    const session = this.#begin({ host, address, initiator: false, id, instance }, null);
    if (hello.listenPort > 0) {
      this.#book.add(proven.disk, address, 'session');
      this.#book.reached(address, host, this.#clock.nowUs());
    }
    return session.attach('control', proven);
  }

  #begin(
    identity: { host: HostId; address: Address; initiator: boolean; id: string; instance: string },
    dialled: Address | null,
  ): Session {
    const session = this.#choice.begun(new Session(this.#sessionHost(dialled), identity));
    this.#sessions.set(identity.host, session);
    return session;
  }

  #dialDue(): void {
    if (!this.#running) return;
    this.#timer?.cancel();
    this.#timer = null;
    const connected = (host: HostId, address: Address): boolean =>
      this.#choice.suffices(this.#sessions.get(host) ?? null, address) || this.#bans.has(host);
    const room = Math.min(MAX_DIALS - this.#dialer.count, MAX_SESSIONS - this.#sessions.size);
    const nowUs = this.#clock.nowUs();
    if (room > 0) for (const due of this.#book.takeDue(nowUs, room, connected)) void this.#dialControl(due);
    const next = this.#book.nextDueUs(connected);
    if (next === null || room <= 0) return;
    const delayMs = Math.max(1, Math.ceil((next - nowUs) / 1000));
    this.#timer = this.#clock.setTimer(delayMs, () => this.#dialDue(), { background: true });
  }

  async #dialControl({ address, disk, attempt }: DueDial): Promise<void> {
    const secrets = this.#memberships.get(disk)?.secrets() ?? [];
    const secret = secrets[attempt % Math.max(1, secrets.length)];
    const session = this.#options.random.bytes(NONCE_BYTES);
    if (secret === undefined) {
      this.#book.failed(address, this.#clock.nowUs());
      return;
    }
    const proven = (lane: ProvenLane): ConnectionHandlers => {
      const { host, hello } = lane;
      this.#book.reached(address, host, this.#clock.nowUs());
      const id = toHex(session);
      const known = this.#sessions.get(host);
      const begun = this.#begin({ host, address, initiator: true, id, instance: toHex(hello.instance) }, address);
      if (known !== undefined) this.#choice.replace(known);
      return begun.attach('control', lane);
    };
    const error = await this.#dial(address, { disk, secret }, { kind: 'control', session }, proven);
    const nowUs = this.#clock.nowUs();
    if (hasCode(error, 'ABORTED')) this.#book.release(address, nowUs);
    else if (error !== null) this.#book.failed(address, nowUs);
    this.#dialDue();
  }

  async #dialLane(session: Session, kind: LaneClass, address: Address): Promise<void> {
    // Any disk of both will do to prove the lane; the session's channels are proven on the control lane.
    const candidates = [...this.#memberships.values()].filter((membership) => membership.admits(session.host));
    let error: DiskswarmError | null = new DiskswarmError('PEER_UNREACHABLE', 'no disk is shared any more');
    for (const membership of candidates) {
      const secret = membership.secrets()[0];
      if (secret === undefined || session.closed) continue;
      const lane = { kind, session: fromHex(session.id) };
      error = await this.#dial(address, { disk: membership.disk, secret }, lane, (proven) =>
        proven.host === session.host && session.lacks(kind) ? session.attach(kind, proven) : refused(proven.connection),
      );
      this.#dialDue(); // Whoever waited for the room that this one took.
      if (error === null) return;
    }
    session.close(error ?? undefined);
  }

  /** Dials and proves; null once a lane began, else why not. */
  #dial(
    address: Address,
    candidate: ProofCandidate,
    lane: NonNullable<LaneHello['lane']>,
    onProven: (proven: ProvenLane) => ConnectionHandlers,
  ): Promise<DiskswarmError | null> {
    return this.#dialer.dial(address, {
      clock: this.#clock,
      keys: this.#options.keys,
      hello: { ...this.#hello(lane), lane },
      candidate,
      admits: (disk, host) => {
        if (host === this.#self) this.#book.isSelf(address);
        return this.#admits(disk, host);
      },
      // The other lanes are of hosts that know each other.
      rosters: lane.kind === 'control' ? this.#rosters : undefined,
      wants: (host) => {
        const wanted = lane.kind !== 'control' || !this.#choice.suffices(this.#sessions.get(host) ?? null, address);
        if (!wanted) this.#book.reached(address, host, this.#clock.nowUs());
        return wanted && this.#running;
      },
      onProven,
    });
  }

  #closed(session: Session, error: DiskswarmError | undefined): void {
    if (error !== undefined && MISBEHAVIOUR.includes(error.code)) {
      this.#bans.add(session.host, MISBEHAVIOUR_BAN_MS, error.message);
      this.#options.onMisbehaviour?.(session.host, error);
    }
    this.#choice.ended(session, error);
    if (this.#sessions.get(session.host) === session) this.#sessions.delete(session.host);
    this.#book.lost(session.host, this.#clock.nowUs(), session.complete);
    this.#dialDue();
  }
}
