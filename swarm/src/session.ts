/**
 * The relation of this host with one other: its lanes, and the disks both share on them.
 *
 * The side that dialled brings both lanes up and opens channels; the other offers disks it gets later. A disk is opened
 * only for a host that its roster admits, by a proof of that disk's own secret over the control lane's binding. A lane
 * that ends takes the session with it. Who may have a session, and which of two survives, is the swarm's.
 */
import { type Address, type DiskId, DiskswarmError, type HostId, type Timer } from '@diskswarm/core';
import { checkLaneProof, laneProof, type SwarmSecret } from '@diskswarm/identity';
import { type ChannelLane, LANE_CLASSES, type LaneClass, type LaneControl } from '@diskswarm/wire';
import type { ChannelLink } from './channel-link.ts';
import { DiskChannel } from './disk-channel.ts';
import { Lane } from './lane.ts';
import type { ProvenLane } from './lane-handshake.ts';
import { FAREWELL_MS, LINGER_MS, MAX_CHANNELS, PING_INTERVAL_MS } from './limits.ts';
import { LinkShare } from './link-share.ts';
import type { ChannelClose, DiskMembership } from './ports.ts';
import type { SessionHost } from './session-host.ts';
import { type PeerStream, type StreamHandlers, Streams } from './streams.ts';

interface Opening {
  readonly membership: DiskMembership;
  readonly secret: SwarmSecret;
  /** Which of the membership's secrets this is. */
  readonly attempt: number;
}

export class Session {
  readonly host: HostId;
  readonly address: Address;
  /** True when this host dialled. */
  readonly initiator: boolean;
  /** Named by the side that dialled. */
  readonly id: string;
  /** The peer's agent run. */
  readonly instance: string;
  readonly startedUs: number;
  readonly share: LinkShare;
  readonly #owner: SessionHost;
  readonly #lanes = new Map<LaneClass, Lane>();
  readonly #channels = new Map<number, DiskChannel>();
  readonly #byDisk = new Map<DiskId, DiskChannel>();
  /** Channels this side asked for. */
  readonly #opening = new Map<number, Opening>();
  readonly #streams: Streams;
  /** Highest channel number ever used; frames of closed ones still arrive for a while. */
  #highest = 0;
  #ticker: Timer | null = null;
  #farewell: Timer | null = null;
  #up = false;
  #closed = false;

  /** Nothing happens before `attach`. */
  constructor(
    owner: SessionHost,
    options: { host: HostId; address: Address; initiator: boolean; id: string; instance: string },
  ) {
    this.#owner = owner;
    this.host = options.host;
    this.address = options.address;
    this.initiator = options.initiator;
    this.id = options.id;
    this.instance = options.instance;
    this.startedUs = owner.clock.nowUs();
    const waits = (): boolean => this.#streams.waiting;
    this.share = new LinkShare(owner, waits, () => this.#lanes.get('control')?.ping());
    this.#streams = new Streams(
      {
        host: this.host,
        initiator: this.initiator,
        clock: owner.clock,
        limit: this.share.memory,
        send: (channel, views) => this.#lanes.get('memory')?.send(channel, views),
      },
      owner.acceptStream,
    );
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The peer has spoken behind its hello. */
  get up(): boolean {
    return this.#up;
  }

  get lanes(): LaneClass[] {
    return [...this.#lanes.keys()];
  }

  get channels(): DiskChannel[] {
    return [...this.#byDisk.values()];
  }

  /** Last measured round trip, microseconds; null when not known yet. */
  get rttUs(): number | null {
    return this.#lanes.get('control')?.rttUs ?? null;
  }

  /** A stream between the two agents is open. */
  get streaming(): boolean {
    return this.#streams.size > 0;
  }

  /** Takes a proven connection over as one of the lanes; returns what its handshake hands over to. */
  attach(kind: LaneClass, proven: ProvenLane): Lane['connectionHandlers'] {
    const lane = new Lane(kind, proven.connection, {
      clock: this.#owner.clock,
      downloads: this.#owner.downloads,
      handlers: {
        onAlive: () => this.#alive(kind),
        onFrame: (from, channel, bytes) => {
          if (kind === 'memory') this.#streams.receive(channel, bytes);
          else this.#receive(from, kind, channel, bytes);
        },
        onControl: (from, message) => this.#control(from, message),
        onRtt: (from, rttUs) => {
          this.#streams.measured(rttUs);
          if (from.kind === 'control') this.share.measured(rttUs);
        },
        onDrain: () => (kind === 'memory' ? this.#streams.drained() : this.#owner.uploads.pump()),
        onClose: (_lane, error) => this.close(error),
      },
    });
    this.#lanes.set(kind, lane);
    // The first word behind the hello, both ways: each side knows then that the other took it in.
    lane.ping();
    this.#schedule();
    if (this.initiator && this.complete) this.refresh();
    return lane.connectionHandlers;
  }

  /** True while a lane of this kind is missing. */
  lacks(kind: LaneClass): boolean {
    return !this.#closed && !this.#lanes.has(kind);
  }

  /** The disks here, or what rosters say of this host, changed: opens, offers and shuts channels accordingly. */
  refresh(): void {
    if (this.#closed || !this.complete) return;
    const here = [...this.#owner.memberships()];
    const shared = here.filter((membership) => membership.admits(this.host));
    for (const channel of this.channels) {
      if (here.some(({ disk }) => disk === channel.disk)) continue;
      this.#shut(channel, { kind: 'shut' });
    }
    if (
      shared.length === 0 ||
      this.channels.some(({ disk }) => !shared.some((membership) => membership.disk === disk))
    ) {
      this.#withdraw();
    }
    for (const membership of shared) {
      if (this.#byDisk.has(membership.disk)) continue;
      if (this.initiator) this.#open(membership, 0);
      else this.#offer(membership);
    }
  }

  /** Ends the session and all channels; `error` present when something went wrong. Idempotent. */
  close(error?: DiskswarmError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker?.cancel();
    this.#farewell?.cancel();
    for (const channel of this.#channels.values()) channel.close({ kind: 'session', error });
    this.#streams.close();
    this.#channels.clear();
    this.#byDisk.clear();
    this.#opening.clear();
    const lanes = [...this.#lanes.values()];
    for (const lane of lanes) {
      lane.close();
      if (error !== undefined) lane.connection.destroy();
    }
    if (error === undefined && lanes.length > 0) {
      this.#owner.clock.setTimer(
        LINGER_MS,
        () => {
          for (const lane of lanes) lane.connection.destroy();
        },
        { background: true },
      );
    }
    this.#owner.onClosed(this, error);
  }

  /** Shuts what is not shared any more, a moment later, so that who was revoked still hears the roster that says so. */
  #withdraw(): void {
    this.#farewell ??= this.#owner.clock.setTimer(
      FAREWELL_MS,
      () => {
        this.#farewell = null;
        const shared = [...this.#owner.memberships()].filter((membership) => membership.admits(this.host));
        for (const channel of this.channels) {
          if (!shared.some(({ disk }) => disk === channel.disk)) this.#shut(channel, { kind: 'shut' });
        }
        if (shared.length === 0) this.close();
      },
      { background: true },
    );
  }

  /** Opens a byte stream to the peer; PEER_UNREACHABLE while the memory lane is missing, LIMIT_EXCEEDED. */
  openStream(label: string, handlers: (stream: PeerStream) => StreamHandlers): PeerStream {
    if (this.#closed || this.lacks('memory'))
      throw new DiskswarmError('PEER_UNREACHABLE', 'the other host is not connected', { data: { host: this.host } });
    return this.#streams.open(label, handlers);
  }

  /** All lanes are there. */
  get complete(): boolean {
    return LANE_CLASSES.every((kind) => this.#lanes.has(kind));
  }

  #alive(kind: LaneClass): void {
    if (kind !== 'control' || this.#up || this.#closed) return;
    this.#up = true;
    this.#owner.onUp(this);
  }

  #schedule(): void {
    this.#ticker?.cancel();
    const tick = (): void => {
      if (!this.complete) {
        this.close(
          new DiskswarmError('PEER_UNREACHABLE', 'a lane of the session never came', { data: { host: this.host } }),
        );
        return;
      }
      for (const lane of this.#lanes.values()) lane.tick();
      if (!this.#closed) this.#ticker = this.#owner.clock.setTimer(PING_INTERVAL_MS, tick, { background: true });
    };
    this.#ticker = this.#owner.clock.setTimer(PING_INTERVAL_MS, tick, { background: true });
  }

  #receive(lane: Lane, kind: ChannelLane, number: number, bytes: Uint8Array): void {
    const channel = this.#channels.get(number);
    if (channel !== undefined) channel.receive(kind, bytes);
    else if (number > this.#highest)
      throw new DiskswarmError('PROTOCOL_ERROR', `a channel of the ${lane.kind} lane that nobody opened`);
  }

  #control(lane: Lane, message: LaneControl): void {
    if (this.#closed || message.kind === 'ping' || message.kind === 'pong') return;
    if (lane.kind !== 'control') throw new DiskswarmError('PROTOCOL_ERROR', `${message.kind} on the ${lane.kind} lane`);
    switch (message.kind) {
      case 'offer': {
        if (!this.initiator) throw new DiskswarmError('PROTOCOL_ERROR', 'an offer from the side that dialled');
        const match = this.#matching(message.tag, 'responder');
        if (match !== undefined && !this.#byDisk.has(match.membership.disk))
          this.#open(match.membership, match.attempt);
        break;
      }
      case 'open':
        this.#openedByPeer(message.channel, message.tag);
        break;
      case 'opened': {
        const opening = this.#takeOpening(message.channel);
        if (!checkLaneProof(message.tag, opening.secret, this.#binding, 'responder')) {
          throw new DiskswarmError('PROTOCOL_ERROR', 'a channel opened without its proof');
        }
        // The disk may have gone, or been opened by another try, since we asked.
        if (this.#wanted(opening.membership)) this.#begin(message.channel, opening.membership, opening.secret);
        else {
          this.#say({ kind: 'shut', channel: message.channel });
          this.refresh();
        }
        break;
      }
      case 'refused': {
        const { membership, attempt } = this.#takeOpening(message.channel);
        if (attempt + 1 < membership.secrets().length && this.#wanted(membership)) this.#open(membership, attempt + 1);
        break;
      }
      case 'shut': {
        const channel = this.#channels.get(message.channel);
        if (channel !== undefined) this.#forget(channel, { kind: 'shut' });
        break;
      }
    }
  }

  get #binding(): Uint8Array {
    return this.#lanes.get('control')!.connection.binding;
  }

  #wanted(membership: DiskMembership): boolean {
    if (this.#byDisk.has(membership.disk) || !membership.admits(this.host)) return false;
    for (const known of this.#owner.memberships()) if (known === membership) return true;
    return false;
  }

  #open(membership: DiskMembership, attempt: number): void {
    const secret = membership.secrets()[attempt];
    const pending = [...this.#opening.values()].some((opening) => opening.membership.disk === membership.disk);
    if (secret === undefined || pending || this.#channels.size + this.#opening.size >= MAX_CHANNELS) return;
    if (this.#highest >= 0xffff) {
      this.close();
      return;
    }
    const channel = ++this.#highest;
    this.#opening.set(channel, { membership, secret, attempt });
    this.#say({ kind: 'open', channel, tag: laneProof(secret, this.#binding, 'initiator') });
  }

  #offer(membership: DiskMembership): void {
    const secret = membership.secrets()[0];
    if (secret !== undefined) this.#say({ kind: 'offer', tag: laneProof(secret, this.#binding, 'responder') });
  }

  #openedByPeer(number: number, tag: Uint8Array): void {
    if (this.initiator || number <= this.#highest)
      throw new DiskswarmError('PROTOCOL_ERROR', 'a channel opened out of turn');
    this.#highest = number;
    const match = this.#matching(tag, 'initiator');
    if (match === undefined || this.#byDisk.has(match.membership.disk) || this.#channels.size >= MAX_CHANNELS) {
      this.#say({ kind: 'refused', channel: number });
      return;
    }
    this.#say({ kind: 'opened', channel: number, tag: laneProof(match.secret, this.#binding, 'responder') });
    this.#begin(number, match.membership, match.secret);
  }

  /** The disk whose secret made this tag, among those that admit the peer; all are tried. */
  #matching(tag: Uint8Array, side: 'initiator' | 'responder'): Opening | undefined {
    let found: Opening | undefined;
    for (const membership of this.#owner.memberships()) {
      if (!membership.admits(this.host)) continue;
      membership.secrets().forEach((secret, attempt) => {
        if (checkLaneProof(tag, secret, this.#binding, side)) found = { membership, secret, attempt };
      });
    }
    return found;
  }

  #takeOpening(number: number): Opening {
    const opening = this.#opening.get(number);
    if (opening === undefined)
      throw new DiskswarmError('PROTOCOL_ERROR', 'an answer about a channel that was not asked for');
    this.#opening.delete(number);
    return opening;
  }

  #begin(number: number, membership: DiskMembership, secret: SwarmSecret): void {
    const link: ChannelLink = {
      host: this.host,
      address: this.address,
      self: this.#owner.self,
      initiator: this.initiator,
      clock: this.#owner.clock,
      uploads: this.#owner.uploads,
      share: this.share,
      buffers: (chunkSizeBytes) => this.#owner.buffers(chunkSizeBytes),
      lane: (kind) => this.#lanes.get(kind),
      fail: (error) => this.close(error),
      renew: (channel) => this.#renew(channel),
    };
    const channel = new DiskChannel(link, { number, membership, secret });
    this.#channels.set(number, channel);
    this.#byDisk.set(channel.disk, channel);
    channel.open();
  }

  #renew(channel: DiskChannel): void {
    const membership = [...this.#owner.memberships()].find(({ disk }) => disk === channel.disk);
    this.#shut(channel, { kind: 'renewed' });
    if (membership === undefined) return;
    if (this.initiator) this.#open(membership, 0);
    else this.#offer(membership);
  }

  #shut(channel: DiskChannel, reason: ChannelClose): void {
    this.#say({ kind: 'shut', channel: channel.number });
    this.#forget(channel, reason);
  }

  #forget(channel: DiskChannel, reason: ChannelClose): void {
    this.#channels.delete(channel.number);
    this.#byDisk.delete(channel.disk);
    channel.close(reason);
  }

  #say(message: LaneControl): void {
    this.#lanes.get('control')?.sendControl(message);
  }
}
