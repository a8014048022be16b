/** Hosts with a swarm and disks in memory: what a host agent is to the swarm, without its store. */
import { RangeSet } from '@diskswarm/bitfield';
import {
  type ChunkId,
  type Clock,
  DiskswarmError,
  type GenerationId,
  type HostId,
  type PieceIndex,
  type Random,
  type Transport,
} from '@diskswarm/core';
import {
  createGenesis,
  createHostKeys,
  createOwner,
  firstRoster,
  type Genesis,
  grantMember,
  type HostKeys,
  memberOf,
  type Owner,
  openRosterSecret,
  type Roster,
  revokeMember,
  type SwarmSecret,
  takeRoster,
  verifyRoster,
} from '@diskswarm/identity';
import {
  type ChannelClose,
  type ChannelHandlers,
  type DiskChannel,
  type DiskMembership,
  type DiskServer,
  type OfferedGeneration,
  type RequestToken,
  type StreamAcceptor,
  Swarm,
} from '../../src/index.ts';
import { TestRandom } from './test-clock.ts';

/** A disk as its owner sees it: can grant and revoke. */
export class TestDisk {
  readonly genesis: Genesis;
  readonly #owner: Owner;
  readonly #random: Random;
  roster: Roster;
  secret: SwarmSecret;

  constructor(first: HostId, random: Random, chunkSizeBytes = 65_536) {
    this.#random = random;
    this.#owner = createOwner(random);
    this.genesis = createGenesis(this.#owner, chunkSizeBytes, random);
    ({ roster: this.roster, secret: this.secret } = firstRoster(this.genesis, first, this.#owner, random));
  }

  grant(host: HostId): Roster {
    const { genesis, roster, secret } = this;
    ({ roster: this.roster } = grantMember(
      { genesis, roster, secret, host, role: 'reader' },
      this.#owner,
      this.#random,
    ));
    return this.roster;
  }

  revoke(host: HostId): Roster {
    const { genesis, roster } = this;
    const change = revokeMember({ genesis, roster, host, after: { epoch: 1, sequence: 1 } }, this.#owner, this.#random);
    ({ roster: this.roster, secret: this.secret } = change);
    return this.roster;
  }
}

/** A disk as one host holds it; records what the swarm tells. */
export class TestMembership implements DiskMembership {
  readonly disk;
  readonly chunkSizeBytes: number;
  readonly #genesis: Genesis;
  readonly #keys: HostKeys;
  readonly #swarm: () => Swarm;
  readonly #secrets: SwarmSecret[] = [];
  roster: Roster;
  readonly channels: DiskChannel[] = [];
  readonly ready: DiskChannel[] = [];
  readonly closed: ChannelClose[] = [];
  readonly generations: OfferedGeneration[] = [];
  readonly claims: { generation: GenerationId; has: RangeSet; lacks: RangeSet }[] = [];
  readonly pieces: { token: RequestToken; bytes: Uint8Array; atUs: number }[] = [];
  readonly rejected: RequestToken[] = [];
  readonly ownership: Uint8Array[] = [];
  readonly traces: Uint8Array[] = [];
  /** What this host serves: nothing until a test says so. */
  server: DiskServer = { readPiece: async () => null, readChunk: async () => null, readPath: async () => null };
  clock: Clock;

  constructor(genesis: Genesis, roster: Roster, keys: HostKeys, swarm: () => Swarm, clock: Clock) {
    this.disk = genesis.disk;
    this.chunkSizeBytes = genesis.chunkSizeBytes;
    this.#genesis = genesis;
    this.#keys = keys;
    this.#swarm = swarm;
    this.clock = clock;
    this.roster = roster;
    this.#learn(roster);
  }

  secrets(): readonly SwarmSecret[] {
    return this.#secrets;
  }

  admits(host: HostId): boolean {
    const member = memberOf(this.roster, host);
    return member !== null && member.revoked === undefined;
  }

  rosterBundle(): Uint8Array {
    return this.roster.bytes;
  }

  async takeRoster(bundle: Uint8Array): Promise<void> {
    this.take(verifyRoster(bundle, this.#genesis));
  }

  /** A roster from the owner or a peer. */
  take(roster: Roster): void {
    if (takeRoster(this.roster, roster).verdict !== 'newer') return;
    this.roster = roster;
    this.#learn(roster);
    this.#swarm().rosterChanged(this.disk);
  }

  onChannel(channel: DiskChannel): ChannelHandlers {
    this.channels.push(channel);
    return {
      onReady: () => this.ready.push(channel),
      onGeneration: (offered) => this.generations.push(offered),
      onClaims: (generation, has, lacks) => this.claims.push({ generation, has, lacks }),
      onPiece: (token, bytes) => this.pieces.push({ token, bytes, atUs: this.clock.nowUs() }),
      onRejected: (token) => this.rejected.push(token),
      onTrace: (_generation, trace) => this.traces.push(trace.slice()),
      onMigration: () => {},
      onOwnership: (message) => this.ownership.push(message.slice()),
      onClose: (reason) => {
        this.closed.push(reason);
        this.channels.splice(this.channels.indexOf(channel), 1);
        if (this.ready.includes(channel)) this.ready.splice(this.ready.indexOf(channel), 1);
      },
    };
  }

  #learn(roster: Roster): void {
    try {
      this.#secrets.unshift(openRosterSecret(roster, this.#keys));
      if (this.#secrets[1] && Buffer.compare(this.#secrets[0]!, this.#secrets[1]) === 0) this.#secrets.shift();
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
    }
  }
}

/** A host: keys and a swarm. */
export class TestHost {
  readonly keys: HostKeys;
  readonly swarm: Swarm;
  readonly misbehaviour: DiskswarmError[] = [];
  readonly #clock: Clock;

  constructor(
    transport: Transport,
    clock: Clock,
    random: Random,
    limits: { uploadBytesPerSecond?: number; downloadBytesPerSecond?: number } = {},
    keys: HostKeys = createHostKeys(random),
  ) {
    this.#clock = clock;
    this.keys = keys;
    this.swarm = new Swarm({
      transport,
      clock,
      random,
      keys: this.keys,
      onStream: (stream) => this.onStream(stream),
      onMisbehaviour: (_host, error) => this.misbehaviour.push(error),
      ...limits,
    });
  }

  /** Refuses streams until a test says otherwise. */
  onStream: StreamAcceptor = () => null;

  get id(): HostId {
    return this.keys.hostId;
  }

  join(disk: TestDisk, roster = disk.roster): TestMembership {
    const membership = new TestMembership(disk.genesis, roster, this.keys, () => this.swarm, this.#clock);
    this.swarm.addDisk(membership);
    return membership;
  }
}

export const generationOne = '01'.repeat(32) as GenerationId;
export const rootOne = 'a1'.repeat(32) as ChunkId;

/** Generation one of a disk with `pieces` pieces. */
export function offered(pieces: number, generation: GenerationId = generationOne): OfferedGeneration {
  return { generation, pieces, record: Uint8Array.of(1, 2, 3), epochs: [Uint8Array.of(4)] };
}

const NOISE = new TestRandom(42).bytes(2 * 65_536);

/** The bytes of a piece: its index, then some that do not compress. */
export function chunkOf(piece: number, lengthBytes: number): Uint8Array {
  const from = piece % 65_536;
  const chunk = Buffer.from(NOISE.subarray(from, from + lengthBytes));
  chunk.writeUInt32BE(piece);
  return chunk;
}

export const piece = (value: number): PieceIndex => value as PieceIndex;
export const runs = (...pairs: [number, number][]): RangeSet =>
  RangeSet.from(pairs.map(([from, to]) => ({ from, to })));
