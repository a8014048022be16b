/**
 * A member of a disk who does not play fair: the shipped swarm over real TLS, with a server, claims and records of the test's choice.
 *
 * It holds a true copy of the image, so that each lie can be told alone. `RawMember` goes below that: it proves itself as a
 * member must and then sends whatever bytes it likes.
 */

import { RangeSet } from '@diskswarm/bitfield';
import { chunkIdOf, Geometry } from '@diskswarm/chunk';
import {
  type ChunkId,
  type Connection,
  fromHex,
  type GenerationId,
  type PageId,
  type PieceIndex,
  pieceIndex,
} from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import {
  createHostKeys,
  decodeEpochRecord,
  decodeGeneration,
  type EpochRecord,
  type Generation,
  type HostKeys,
  type Invitation,
  laneProof,
  memberOf,
  parseInvitation,
  signHello,
  verifyRoster,
} from '@diskswarm/identity';
import { levelsFor, ManifestBuilder, ManifestReader } from '@diskswarm/manifest';
import { decodeOwnershipMessage, type OwnershipMessage } from '@diskswarm/ownership';
import {
  type ChannelHandlers,
  type DiskChannel,
  type DiskMembership,
  type DiskServer,
  type OfferedGeneration,
  Swarm,
} from '@diskswarm/swarm';
import { createTlsTransport } from '@diskswarm/swarm/transport';
import { encodeLaneHello } from '@diskswarm/wire';
import type { ExecutionContext } from 'ava';
import { eventually, type Host } from './processes.ts';

/** What a member knows of a disk. */
export interface Membership {
  readonly keys: HostKeys;
  readonly invitation: Invitation;
  readonly epochs: readonly EpochRecord[];
  readonly head: Generation;
}

/** Has `home` grant the disk to a host of the test's own. */
export async function becomeMember(
  home: Host,
  disk: string,
  role: 'reader' | 'writer' = 'writer',
): Promise<Membership> {
  const keys = createHostKeys(systemRandom);
  const { invitation: line } = await home.ok('disk', 'grant', disk, '--host', keys.hostId, '--role', role);
  const invitation = parseInvitation(String(line), keys);
  const view = (await home.call('disk.ownerView', { name: disk })) as {
    epochRecords: string[];
    headGeneration: string;
  };
  const epochs = view.epochRecords.map((record) => decodeEpochRecord(fromHex(record), invitation.genesis));
  return { keys, invitation, epochs, head: decodeGeneration(fromHex(view.headGeneration)) };
}

/** The lies. What is left out is done honestly. */
export interface Lies {
  readPiece?(piece: PieceIndex, honest: Uint8Array): Promise<Uint8Array | null>;
  readPath?(piece: PieceIndex, honest: readonly Uint8Array[]): Promise<readonly Uint8Array[] | null>;
  /** Told instead of the true generation with all of its pieces claimed. */
  announce?(channel: DiskChannel): void;
  /** It holds a later roster than its invitation's. */
  readonly roster?: Uint8Array;
}

export class Liar implements DiskMembership {
  readonly disk;
  readonly chunkSizeBytes: number;
  readonly server: DiskServer;
  readonly swarm: Swarm;
  /** Chunks and paths that it was asked for. */
  asked = { pieces: 0, paths: 0 };
  /** Channels that work now. */
  readonly ready = new Set<DiskChannel>();
  readonly heard: OfferedGeneration[] = [];
  /** Messages of ownership that came. */
  readonly told: OwnershipMessage[] = [];
  readonly #member: Membership;
  readonly #lies: Lies;
  readonly #pages = new Map<PageId, Uint8Array>();
  #roster;

  private constructor(member: Membership, content: Buffer, lies: Lies) {
    const { genesis, roster } = member.invitation;
    this.#member = member;
    this.#lies = lies;
    this.#roster = lies.roster === undefined ? roster : verifyRoster(lies.roster, genesis);
    this.disk = genesis.disk;
    this.chunkSizeBytes = genesis.chunkSizeBytes;
    const reader = new ManifestReader({
      root: member.head.root,
      pieces: this.#geometry.pieces,
      source: { get: async (id) => this.#pages.get(id) as Uint8Array },
    });
    this.server = {
      readPiece: async (generation, piece) => {
        if (generation !== member.head.id) return null;
        this.asked.pieces += 1;
        const honest = content.subarray(piece * this.chunkSizeBytes, (piece + 1) * this.chunkSizeBytes);
        return (
          (await lies.readPiece?.(piece, honest)) ?? (lies.readPiece === undefined ? new Uint8Array(honest) : null)
        );
      },
      readChunk: async () => null,
      readPath: async (root, piece, fromLevel) => {
        if (root !== member.head.root) return null;
        this.asked.paths += 1;
        const honest = await reader.pathPages(piece, fromLevel);
        return lies.readPath === undefined ? honest : lies.readPath(piece, honest);
      },
    };
    this.swarm = new Swarm({
      transport: createTlsTransport(),
      clock: systemClock,
      random: systemRandom,
      keys: member.keys,
    });
  }

  /** Meets `victim`, and stays until the test ends. `content` is the disk's image. */
  static async meet(t: ExecutionContext, member: Membership, victim: Host, content: Buffer, lies: Lies): Promise<Liar> {
    const liar = new Liar(member, content, lies);
    t.teardown(() => liar.swarm.stop());
    await liar.#learn(content);
    await liar.swarm.start();
    liar.swarm.addDisk(liar);
    liar.swarm.addPeerAddress(liar.disk, victim.daemon!.listen, 'peer');
    return liar;
  }

  get id(): string {
    return this.#member.keys.hostId;
  }

  get #geometry(): Geometry {
    return new Geometry(this.#member.head.sizeBytes, this.chunkSizeBytes);
  }

  async #learn(content: Buffer): Promise<void> {
    const { pieces } = this.#geometry;
    const builder = new ManifestBuilder({ pieces, sink: { put: async (id, page) => void this.#pages.set(id, page) } });
    for (let piece = 0; piece < pieces; piece++) {
      await builder.add(chunkIdOf(content.subarray(piece * this.chunkSizeBytes, (piece + 1) * this.chunkSizeBytes)));
    }
    if ((await builder.finish()) !== this.#member.head.root)
      throw new Error(`no copy of the disk: ${levelsFor(pieces)} levels`);
  }

  secrets(): Uint8Array[] {
    return [this.#member.invitation.secret];
  }

  admits(host: Parameters<DiskMembership['admits']>[0]): boolean {
    return memberOf(this.#roster, host)?.revoked === undefined;
  }

  rosterBundle(): Uint8Array {
    return this.#roster.bytes;
  }

  async takeRoster(bundle: Uint8Array): Promise<void> {
    const offered = verifyRoster(bundle, this.#member.invitation.genesis);
    if (offered.sequence > this.#roster.sequence) this.#roster = offered;
  }

  onChannel(channel: DiskChannel): ChannelHandlers {
    return {
      onReady: () => {
        this.ready.add(channel);
        if (this.#lies.announce === undefined) this.announceTruth(channel);
        else this.#lies.announce(channel);
      },
      onGeneration: (offered) => void this.heard.push(offered),
      onClaims: () => {},
      onPiece: () => {},
      onRejected: () => {},
      onTrace: () => {},
      onMigration: () => {},
      onOwnership: (message) => void this.told.push(decodeOwnershipMessage(new Uint8Array(message))),
      onClose: () => void this.ready.delete(channel),
    };
  }

  /** Tells of the true newest generation, and claims all of it. */
  announceTruth(channel: DiskChannel): void {
    const { head, epochs } = this.#member;
    const { pieces } = this.#geometry;
    channel.openGeneration({
      generation: head.id,
      pieces,
      record: head.bytes,
      epochs: epochs.map(({ bytes }) => bytes),
    });
    const all = new RangeSet();
    all.add(0, pieces);
    channel.sendClaims(head.id, all, new RangeSet());
  }

  /** Tells of a generation record of its own making. */
  announceForged(channel: DiskChannel, forged: Generation, epochs: readonly EpochRecord[]): void {
    const record = { generation: forged.id as GenerationId, pieces: this.#geometry.pieces, record: forged.bytes };
    channel.openGeneration({ ...record, epochs: epochs.map(({ bytes }) => bytes) });
    channel.sendClaims(forged.id, RangeSet.from([{ from: pieceIndex(0), to: pieceIndex(1) }]), new RangeSet());
  }
}

/** A root that no manifest has. */
export function wrongRoot(generation: Generation): ChunkId {
  return generation.id as string as ChunkId;
}

/** A connection that proved itself a member; from then on its bytes are the test's. */
export class RawMember {
  readonly connection: Connection;
  readonly closed: Promise<void>;
  receivedBytes = 0;
  #drained: () => void = () => {};
  #over = false;

  private constructor(connection: Connection, onBytes: (bytes: Uint8Array) => void) {
    this.connection = connection;
    this.closed = new Promise((resolve) => {
      connection.start({
        onData: (bytes) => {
          this.receivedBytes += bytes.length;
          onBytes(bytes);
        },
        onDrain: () => this.#drained(),
        onClose: () => {
          this.#over = true;
          this.#drained();
          resolve();
        },
      });
    });
  }

  /** Dials `victim` and goes through the proofs; resolves when a lane stands. */
  static async dial(t: ExecutionContext, member: Membership, victim: Host): Promise<RawMember> {
    const { keys, invitation } = member;
    const connection = await createTlsTransport().dial(victim.daemon!.listen, { timeoutMs: 10_000 });
    t.teardown(() => connection.destroy());
    let received = 0;
    const raw = new RawMember(connection, (bytes) => {
      received += bytes.length;
    });
    const { binding } = connection;
    connection.write([laneProof(invitation.secret, binding, 'initiator')]);
    await eventually('the answer to the proof', () => received > 32 || raw.#over);
    const hello = {
      instance: systemRandom.bytes(16),
      listenPort: 0,
      lane: { kind: 'control' as const, session: systemRandom.bytes(16) },
    };
    const body = signHello(keys, binding, 'initiator', encodeLaneHello(hello));
    connection.write([Buffer.concat([Uint8Array.of(body.length >> 8, body.length & 255), body])]);
    return raw;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The proof of the disk's secret over this connection: what opens a channel. */
  tag(member: Membership): Uint8Array {
    return laneProof(member.invitation.secret, this.connection.binding, 'initiator');
  }

  /** Sends `bytes` over and over until the other side ends it, at most `maxBytes`. */
  async pour(bytes: Uint8Array, maxBytes: number): Promise<number> {
    let sent = 0;
    while (!this.#over && sent < maxBytes) {
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      sent += bytes.length;
      if (!this.connection.write([bytes])) await drained;
      else await new Promise((resolve) => setImmediate(resolve));
    }
    return sent;
  }
}
