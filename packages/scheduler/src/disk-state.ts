/**
 * What is wanted of one disk: a queue per background priority, the feeds behind them, and the chunks nobody has.
 *
 * Disks share the background fairly by bytes: `servedBytes` runs on a common virtual scale, and the disk with the least
 * goes next. A disk that was idle starts at the least of the others, so it cannot claim what it did not want.
 */
import assert from 'node:assert/strict';
import type { DiskId, Priority } from '@diskswarm/core';
import { PRIORITY } from '@diskswarm/core';
import type { WantFeed } from './messages.ts';
import type { Entry, Peer } from './peer.ts';
import { WaitQueue } from './wait-queue.ts';

/** A feed and the entries that came from it and are not done. */
export interface FeedState {
  readonly feed: WantFeed;
  readonly entries: Set<Entry>;
  /** It said null; `feedMore` ends that. */
  dry: boolean;
  waiting: number;
  parked: number;
}

/** Background priorities, most urgent first. */
export const BACKGROUND = [PRIORITY.seal, PRIORITY.workingSet, PRIORITY.bulk] as const;

export class DiskState {
  readonly id: DiskId;
  servedBytes: number;
  /** When what peers claim of this disk last changed, on the scheduler's count of changes. */
  version = 0;
  entryCount = 0;
  readonly feeds = new Map<Priority, FeedState>();
  readonly parkedFaults = new Set<Entry>();
  readonly parked = new Set<Entry>();
  /** Parked entries still to be looked at since the last change. */
  toUnpark = 0;
  /** A deadline to go on with that is set. */
  unparking = false;
  readonly #queues = [new WaitQueue(), new WaitQueue(), new WaitQueue()] as const;

  constructor(id: DiskId, servedBytes: number) {
    this.id = id;
    this.servedBytes = servedBytes;
  }

  queue(priority: Priority): WaitQueue {
    const queue = this.#queues[priority - 1];
    assert(queue !== undefined, 'faults have no queue on a disk');
    return queue;
  }

  parkedFor(entry: Entry): Set<Entry> {
    return entry.priority === PRIORITY.fault ? this.parkedFaults : this.parked;
  }

  disown(peer: Peer): void {
    for (const queue of this.#queues) queue.disown(peer);
  }

  get idle(): boolean {
    return this.entryCount === 0 && this.feeds.size === 0;
  }
}
