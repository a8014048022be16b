/**
 * Whom a modelled host with a clone asks for pieces of the template: the agents' own SharedSources, on modelled links.
 *
 * Hosts have the whole manifest before they begin, as agents have it of disks up to 8 GiB: what a host did not claim it lacks.
 */
import type { Clock, DiskId, GenerationId, HostId, PieceIndex } from '@diskswarm/core';
import { SharedSources, type SharingDisk } from '@diskswarm/host-agent';
import type { Holder } from '@diskswarm/scheduler';
import type { FetchHolder } from '@diskswarm/swarm';
import type { Timeline } from './timeline.ts';

const TEMPLATE = '7'.repeat(64) as GenerationId;

type Link = ReturnType<SharingDisk['peers']['links']>[number];

export interface CloneSourcesOptions {
  readonly self: HostId;
  readonly disk: DiskId;
  readonly chunkBytes: number;
  /** That the template has. */
  readonly pieces: number;
  readonly unitOf: (piece: PieceIndex) => number;
  readonly timeline: Timeline;
  /** What `holders` says of this peer may be another now. */
  readonly changed: (peer: HostId) => void;
}

/** A connected host, and by unit 1 for what it says that it has. */
interface Known {
  readonly holder: FetchHolder;
  readonly claimed: Uint8Array;
}

export class CloneSources {
  readonly #known: Known[] = [];
  readonly #links: Link[] = [];
  readonly #sources: SharedSources;
  readonly #pieces: number;
  readonly #unitOf: (piece: PieceIndex) => number;

  constructor({ self, disk, chunkBytes, pieces, unitOf, timeline, changed }: CloneSourcesOptions) {
    this.#unitOf = unitOf;
    this.#pieces = pieces;
    const peers = {
      ...{ disk, chunkSizeBytes: chunkBytes, generationOf: () => TEMPLATE, baseOf: () => null },
      holders: (_generation: GenerationId, piece: PieceIndex) => this.#holders(piece),
      links: () => this.#links,
    };
    const head = { subject: { generation: TEMPLATE }, allLeavesKnown: true, piecesTotal: pieces, piecesZero: 0 };
    const clock: Pick<Clock, 'nowUs' | 'setTimer'> = {
      nowUs: () => timeline.nowUs,
      setTimer: (delayMs, callback) => {
        let wanted = true;
        timeline.at(timeline.nowUs + delayMs * 1000, callback, () => wanted);
        return { cancel: () => (wanted = false) };
      },
    };
    this.#sources = new SharedSources(
      { peers, templates: { lists: () => true }, content: { head } },
      { hostId: self, clock, fetch: { claimsChanged: ({ host }) => changed(host) } },
    );
  }

  /** A host is connected; it has all pieces of the template, or those units alone for which `claimed` is 1. */
  connect(host: HostId, rttUs: number, claimed: Uint8Array, hasAll: boolean): void {
    const channel: Link['channel'] = {
      ...{ host, rttUs, knows: () => true },
      ...{ request: unused, acceptCompressed: unused, cancel: unused, release: unused, misbehaved: unused },
    };
    const claims = { has: { count: hasAll ? this.#pieces : 0 } };
    this.#links.push({ channel, claimsOf: () => claims });
    this.#known.push({ holder: { channel, certainty: 'has' }, claimed });
  }

  /** Whom to ask for the piece. */
  holders(piece: PieceIndex): readonly Holder[] {
    const holders: Holder[] = [];
    for (const { channel, certainty } of this.#sources.holders(TEMPLATE, piece)) {
      holders.push({ peer: channel.host, certainty });
    }
    return holders;
  }

  /** The host does not serve the piece; true when `holders` may answer otherwise for that. */
  rejected(piece: PieceIndex, host: HostId): boolean {
    return this.#sources.rejected(piece, host);
  }

  #holders(piece: PieceIndex): readonly FetchHolder[] {
    const unit = this.#unitOf(piece);
    const holders: FetchHolder[] = [];
    for (const { holder, claimed } of this.#known) if (claimed[unit] === 1) holders.push(holder);
    return holders;
  }
}

/** Chunks of a model are asked for by the model. */
function unused(): never {
  throw new TypeError('a modelled channel carries nothing');
}
