/**
 * Every chunk wanted now, in exactly one place: among the waiting faults, in its disk's queue, parked because nobody
 * known has it, or asked of somebody. Keeps the counts that bound feeds, and the disks that have anything wanted.
 *
 * Leaves to others: when an entry moves (scheduler) and where to (choose). `holdersOf` is the one way to `whoHas`, and
 * remembers its answer until claims or connections change.
 */
import assert from 'node:assert/strict';
import { type DiskId, DiskswarmError, type HostId, PRIORITY, type Priority } from '@diskswarm/core';
import { DiskState, type FeedState } from './disk-state.ts';
import { SCHEDULER_LIMITS } from './limits.ts';
import type { Holder, Want, WantFeed } from './messages.ts';
import type { ConnectedHolder, Entry, Peer, Place } from './peer.ts';

export class Wants {
  readonly entries = new Map<string, Entry>();
  readonly disks = new Map<DiskId, DiskState>();
  /** Faults that wait, in the order they came. */
  readonly faults = new Set<Entry>();
  readonly #whoHas: (want: Want) => Iterable<Holder>;
  readonly #peers: ReadonlyMap<HostId, Peer>;
  readonly #maxWants: number;
  #named = 0;
  #sequence = 0;
  #changes = 0;
  #peersVersion = 0;

  constructor(options: {
    whoHas: (want: Want) => Iterable<Holder>;
    peers: ReadonlyMap<HostId, Peer>;
    maxWants: number;
  }) {
    this.#whoHas = options.whoHas;
    this.#peers = options.peers;
    this.#maxWants = options.maxWants;
  }

  /** A want by name: new, or one more reason for an entry that is there. It is placed where it waits. */
  name(want: Want): Entry {
    const known = this.entries.get(want.key);
    if (known?.named !== true) {
      if (this.#named >= this.#maxWants) {
        throw new DiskswarmError('LIMIT_EXCEEDED', `more than ${this.#maxWants} chunks are asked for at once`, {
          data: { maxWants: this.#maxWants },
        });
      }
      this.#named++;
    }
    if (known === undefined) return this.#create(want, null);
    known.named = true;
    if (want.priority < known.priority) this.prioritise(known, want.priority);
    return known;
  }

  /** Nobody asks by name any more. */
  unname(entry: Entry): void {
    if (!entry.named) return;
    entry.named = false;
    this.#named--;
  }

  /** Moves an entry to another priority, wherever it is. */
  prioritise(entry: Entry, priority: Priority): void {
    const { place } = entry;
    this.#leave(entry);
    entry.priority = priority;
    if (place === 'asked') entry.place = 'asked';
    else this.wait(entry);
  }

  /** Puts an entry where it waits for a peer. */
  wait(entry: Entry): void {
    this.#leave(entry);
    if (entry.priority === PRIORITY.bulk) {
      const rarity = this.holdersOf(entry).filter(({ certainty }) => certainty === 'has').length;
      entry.rarity = rarity === 0 ? Number.MAX_SAFE_INTEGER : rarity;
    } else {
      entry.rarity = 0;
    }
    this.#enter(entry, entry.priority === PRIORITY.fault ? 'faults' : 'queued');
  }

  /** Puts an entry aside until somebody has it. */
  park(entry: Entry): void {
    this.#leave(entry);
    this.#enter(entry, 'parked');
  }

  /** Marks an entry as under way. */
  asked(entry: Entry): void {
    this.#leave(entry);
    entry.place = 'asked';
  }

  /** Forgets an entry whose requests have ended. */
  remove(entry: Entry): void {
    assert(entry.requests.size === 0, 'an entry with requests cannot be forgotten');
    this.#leave(entry);
    this.unname(entry);
    this.entries.delete(entry.want.key);
    entry.feed?.entries.delete(entry);
    entry.disk.entryCount--;
    this.#forgetIfIdle(entry.disk);
  }

  addFeed(feed: WantFeed): void {
    const disk = this.#diskOf(feed.disk);
    assert(!disk.feeds.has(feed.priority), 'one feed per disk and priority');
    disk.feeds.set(feed.priority, { feed, entries: new Set(), dry: false, waiting: 0, parked: 0 });
  }

  feedState(feed: WantFeed): FeedState | undefined {
    const state = this.disks.get(feed.disk)?.feeds.get(feed.priority);
    return state?.feed === feed ? state : undefined;
  }

  /** Leaves an entry to those who asked for it by name. */
  detach(entry: Entry): void {
    this.#withFeed(entry, null);
  }

  /** A feed that said null has more. */
  moreFrom(feed: WantFeed): void {
    const state = this.feedState(feed);
    if (state !== undefined) state.dry = false;
  }

  removeFeed(state: FeedState): void {
    const disk = this.disks.get(state.feed.disk);
    disk?.feeds.delete(state.feed.priority);
    if (disk !== undefined) this.#forgetIfIdle(disk);
  }

  /** Takes from the disk's feed until its look-ahead is full. */
  refill(disk: DiskState, priority: Priority): void {
    const state = disk.feeds.get(priority);
    if (state === undefined) return;
    while (!state.dry && state.waiting < SCHEDULER_LIMITS.feedLookAhead && state.parked < SCHEDULER_LIMITS.feedParked) {
      const want = state.feed.next();
      if (want === null) {
        state.dry = true;
        return;
      }
      assert(want.disk === disk.id && want.priority === priority, 'a feed brings wants of its own disk and priority');
      const known = this.entries.get(want.key);
      if (known === undefined) this.#create(want, state);
      else if (known.feed === null) this.#withFeed(known, state);
      if (known !== undefined && want.priority < known.priority) this.prioritise(known, want.priority);
    }
  }

  /** The connected peers that may be asked for an entry. */
  holdersOf(entry: Entry): readonly ConnectedHolder[] {
    const version = Math.max(entry.disk.version, this.#peersVersion);
    if (entry.holdersVersion !== version) {
      const holders: ConnectedHolder[] = [];
      for (const { peer: id, certainty } of this.#whoHas(entry.want)) {
        const peer = this.#peers.get(id);
        if (peer !== undefined) holders.push({ peer, certainty });
      }
      entry.holders = holders;
      entry.holdersVersion = version;
    }
    return entry.holders;
  }

  /** What peers claim of a disk (or, without one, who is connected) has changed. */
  availabilityChanged(disk?: DiskState): void {
    this.#changes++;
    if (disk === undefined) this.#peersVersion = this.#changes;
    else disk.version = this.#changes;
  }

  /** How many entries wait, and how many of those nobody has. */
  counts(): { waiting: number; unavailable: number } {
    let waiting = 0;
    let unavailable = 0;
    for (const { place } of this.entries.values()) {
      if (place !== 'asked') waiting++;
      if (place === 'parked') unavailable++;
    }
    return { waiting, unavailable };
  }

  /** The runs of a peer that is gone or does not answer are free. */
  disown(peer: Peer): void {
    for (const disk of this.disks.values()) disk.disown(peer);
  }

  #withFeed(entry: Entry, state: FeedState | null): void {
    const { place } = entry;
    this.#leave(entry);
    entry.feed?.entries.delete(entry);
    entry.feed = state;
    state?.entries.add(entry);
    this.#enter(entry, place);
  }

  #create(want: Want, feed: FeedState | null): Entry {
    const disk = this.#diskOf(want.disk);
    const entry: Entry = {
      want,
      disk,
      sequence: this.#sequence++,
      priority: want.priority,
      named: feed === null,
      feed,
      place: 'asked',
      rarity: 0,
      requests: new Map(),
      excluded: new Map(),
      asked: new Set(),
      holders: [],
      holdersVersion: -1,
      toldUnavailable: false,
      retrying: false,
    };
    this.entries.set(want.key, entry);
    feed?.entries.add(entry);
    disk.entryCount++;
    this.wait(entry);
    return entry;
  }

  #diskOf(id: DiskId): DiskState {
    let disk = this.disks.get(id);
    if (disk === undefined) {
      let least = Number.POSITIVE_INFINITY;
      for (const { servedBytes } of this.disks.values()) least = Math.min(least, servedBytes);
      disk = new DiskState(id, Number.isFinite(least) ? least : 0);
      disk.version = this.#changes;
      this.disks.set(id, disk);
    }
    return disk;
  }

  #forgetIfIdle(disk: DiskState): void {
    if (disk.idle) this.disks.delete(disk.id);
  }

  #enter(entry: Entry, place: Place): void {
    entry.place = place;
    if (place === 'faults') this.faults.add(entry);
    if (place === 'queued') entry.disk.queue(entry.priority).add(entry);
    if (place === 'parked') entry.disk.parkedFor(entry).add(entry);
    if (entry.feed !== null && place === 'parked') entry.feed.parked++;
    else if (entry.feed !== null && place !== 'asked') entry.feed.waiting++;
  }

  #leave(entry: Entry): void {
    const { place } = entry;
    if (place === 'faults') this.faults.delete(entry);
    if (place === 'queued') entry.disk.queue(entry.priority).remove(entry);
    if (place === 'parked') entry.disk.parkedFor(entry).delete(entry);
    if (entry.feed !== null && place === 'parked') entry.feed.parked--;
    else if (entry.feed !== null && place !== 'asked') entry.feed.waiting--;
    entry.place = 'asked';
  }
}
