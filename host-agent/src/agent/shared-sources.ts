/**
 * Whom a host asks for a piece of a template while only one host has it: the one that fetches it for all, so that it leaves its holder once.
 *
 * Hosts that start from one template need the same pieces at the same time. For each piece the hosts that lack it rank each other
 * by a hash, the same everywhere; the first of those a host sees asks the holder, and the others ask it (pass-on.ts). Ranks only
 * fall from asker to asked, so nobody waits in a circle. Whoever is refused, or has waited too long, asks the holder itself. Once
 * several have a piece, one that has everything is spared.
 */
import type { ChunkId, Clock, GenerationId, HostId, PieceIndex, Timer } from '@diskswarm/core';
import type { DiskChannel, FetchChannel, FetchDisk, FetchEngine, FetchHolder } from '@diskswarm/swarm';
import type { DiskPeers } from './disk-peers.ts';
import type { DiskTemplates } from './disk-templates.ts';
import type { GenerationView } from './generation-view.ts';

/** After so long a piece is asked of its holder as well. */
const PATIENCE_MS = 5_000;
/** A host that answers within this is near, whoever is nearer. */
const NEAR_US = 20_000;
/** A host that refused to fetch for others is left alone for so long. */
const UNWILLING_US = 10_000_000;
/** Nothing is remembered of a piece for longer. */
const FORGOTTEN_US = 60_000_000;
/** Pieces whose waiting is remembered; of more, the oldest are asked anew. */
const MAX_WAITING_PIECES = 4_096;

/** A connected host, as far as it matters here. */
interface SharingLink {
  readonly channel: FetchChannel & Pick<DiskChannel, 'knows' | 'rttUs'>;
  claimsOf(generation: GenerationId): { readonly has: { readonly count: number } } | undefined;
}

/** The template's disk, as far as it matters here. */
export interface SharingDisk {
  readonly peers: Pick<DiskPeers, 'disk' | 'chunkSizeBytes' | 'generationOf' | 'baseOf'> & {
    holders(generation: GenerationId, piece: PieceIndex): Iterable<FetchHolder>;
    links(): readonly SharingLink[];
  };
  readonly templates: Pick<DiskTemplates, 'lists'>;
  readonly content: {
    readonly head:
      | (Pick<GenerationView, 'allLeavesKnown' | 'piecesTotal' | 'piecesZero'> & {
          readonly subject: { readonly generation: GenerationId };
        })
      | null;
  };
}

/** This host, as far as it matters here. */
export interface SharingHost {
  readonly hostId: HostId;
  readonly clock: Pick<Clock, 'nowUs' | 'setTimer'>;
  readonly fetch: Pick<FetchEngine, 'claimsChanged'>;
}

export class SharedSources implements FetchDisk {
  readonly #of: SharingDisk;
  readonly #env: SharingHost;
  readonly #selfRank: number;
  readonly #ranks = new Map<HostId, number>();
  readonly #unwilling = new Map<HostId, number>();
  /** Since when a piece is asked of another host than its holder. */
  readonly #waiting = new Map<PieceIndex, number>();
  #timer: Timer | null = null;

  constructor(disk: SharingDisk, env: SharingHost) {
    this.#of = disk;
    this.#env = env;
    this.#selfRank = numberOf(env.hostId);
  }

  get disk(): DiskPeers['disk'] {
    return this.#of.peers.disk;
  }
  get chunkSizeBytes(): number {
    return this.#of.peers.chunkSizeBytes;
  }
  generationOf(root: ChunkId): GenerationId | null {
    return this.#of.peers.generationOf(root);
  }
  baseOf(piece: PieceIndex): ChunkId | null {
    return this.#of.peers.baseOf(piece);
  }

  *holders(generation: GenerationId, piece: PieceIndex): Generator<FetchHolder> {
    const { peers, templates } = this.#of;
    const all = [...peers.holders(generation, piece)];
    const has = all.filter(({ certainty }) => certainty === 'has');
    const [holder] = has;
    const first =
      holder === undefined || has.length > 1 || !templates.lists(generation)
        ? null
        : this.#firstOf(generation, piece, holder.channel.host);
    if (first !== null && holder !== undefined) {
      yield first;
      if (this.#isOverdue(piece)) yield holder;
      return;
    }
    this.#waiting.delete(piece);
    yield* has.length > 1 && templates.lists(generation) ? this.#sparing(generation, has) : all;
  }

  /** Who has all of it is asked last, where others that are not much further away have the piece too: everybody depends on him. */
  *#sparing(generation: GenerationId, has: readonly FetchHolder[]): Generator<FetchHolder> {
    const { head } = this.#of.content;
    const all =
      head?.subject.generation === generation && head.allLeavesKnown ? head.piecesTotal - head.piecesZero : null;
    const links = this.#of.peers.links().filter(({ channel }) => has.some((each) => each.channel === channel));
    const isWhole = (link: SharingLink): boolean => all !== null && (link.claimsOf(generation)?.has.count ?? 0) >= all;
    const nearestUs = Math.min(...links.filter((link) => !isWhole(link)).map(({ channel }) => channel.rttUs ?? 0));
    for (const link of links) {
      const { channel } = link;
      const spared = isWhole(link) && nearestUs <= Math.max(NEAR_US, 4 * (channel.rttUs ?? 0));
      yield { channel, certainty: spared ? 'unknown' : 'has' };
    }
  }

  /** The host does not have the piece, and does not fetch it for others; true where it was asked to. */
  rejected(piece: PieceIndex, host: HostId): boolean {
    if (!this.#waiting.delete(piece)) return false;
    this.#unwilling.set(host, this.#env.clock.nowUs() + UNWILLING_US);
    return true;
  }

  /** Who asks the holder for all who lack the piece; null when that is this host. */
  #firstOf(generation: GenerationId, piece: PieceIndex, holder: HostId): FetchHolder | null {
    let best: FetchHolder | null = null;
    let bestRank = rankOf(this.#selfRank, piece);
    for (const { channel } of this.#of.peers.links()) {
      if (channel.host === holder || !channel.knows(generation) || this.#isUnwilling(channel.host)) continue;
      const rank = rankOf(this.#numberOf(channel.host), piece);
      if (rank >= bestRank) continue;
      best = { channel, certainty: 'has' };
      bestRank = rank;
    }
    return best;
  }

  #isUnwilling(host: HostId): boolean {
    const untilUs = this.#unwilling.get(host);
    if (untilUs === undefined) return false;
    if (untilUs > this.#env.clock.nowUs()) return true;
    this.#unwilling.delete(host);
    return false;
  }

  #isOverdue(piece: PieceIndex): boolean {
    const nowUs = this.#env.clock.nowUs();
    const sinceUs = this.#waiting.get(piece);
    if (sinceUs !== undefined) return nowUs - sinceUs >= PATIENCE_MS * 1000;
    this.#waiting.set(piece, nowUs);
    this.#timer ??= this.#lookLater();
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= MAX_WAITING_PIECES) break;
      this.#waiting.delete(oldest);
    }
    return false;
  }

  /** Has the pieces looked at again that have waited too long by then. */
  #lookLater(): Timer {
    const look = (): void => {
      const beganUs = this.#env.clock.nowUs() - PATIENCE_MS * 1000;
      const waiting = [...this.#waiting.values()];
      this.#timer = waiting.some((sinceUs) => sinceUs > beganUs) ? this.#lookLater() : null;
      const [link] = this.#of.peers.links();
      if (link !== undefined && waiting.some((sinceUs) => sinceUs <= beganUs))
        this.#env.fetch.claimsChanged(link.channel);
      // What came meanwhile is not asked about any more.
      for (const [piece, sinceUs] of this.#waiting) if (sinceUs < beganUs - FORGOTTEN_US) this.#waiting.delete(piece);
    };
    return this.#env.clock.setTimer(PATIENCE_MS, look, { background: true });
  }

  #numberOf(host: HostId): number {
    const known = this.#ranks.get(host);
    if (known !== undefined) return known;
    const number = numberOf(host);
    if (this.#ranks.size >= MAX_WAITING_PIECES) this.#ranks.clear();
    this.#ranks.set(host, number);
    return number;
  }
}

function numberOf(host: HostId): number {
  return Number.parseInt(host.slice(0, 8), 16);
}

/** The same for the same host and piece everywhere, and spread evenly over pieces. */
function rankOf(host: number, piece: PieceIndex): number {
  let mixed = Math.imul(host ^ Math.imul(piece + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  // Equal ranks of two hosts would let each of them ask the holder: the host's own number tells them apart.
  return ((mixed ^ (mixed >>> 16)) >>> 0) + host / 2 ** 33;
}
