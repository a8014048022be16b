/**
 * What this host serves next, over all peers and disks: every fault before any background chunk, peers in turn.
 *
 * A background chunk is read only while its lane has little waiting, so that what is read soon leaves and a cancel still
 * finds it here; the upload limit is spent on faults first. Reads are bounded. Queues are bounded by the channels that
 * fill them.
 */
import type { Clock, Timer } from '@diskswarm/core';
import type { ChannelLane } from '@diskswarm/wire';
import { CompressionBudget } from './compression-budget.ts';
import { MAX_BULK_READS, MAX_SERVE_READS, SERVE_AHEAD_BYTES } from './limits.ts';
import type { Gate } from './link-share.ts';
import type { TokenBucket } from './token-bucket.ts';

/** One thing asked for. `run` reads it, hands it to the lane and never rejects; it tells how many bytes leave, at most `lengthBytes`. */
export interface UploadJob {
  readonly lengthBytes: number;
  run(): Promise<number>;
}

/** A lane of one disk of one peer. */
export interface UploadSource {
  readonly lane: ChannelLane;
  /** What the link to this peer allows on this lane. */
  readonly gate: Gate;
  /** Bytes handed to the lane that have not entered the connection. */
  backlogBytes(): number;
}

interface Queue {
  readonly source: UploadSource;
  readonly jobs: UploadJob[];
  readingBytes: number;
}

export class UploadQueue {
  /** The time for making smaller what is served. */
  readonly compression: CompressionBudget;
  readonly #clock: Clock;
  readonly #limit: TokenBucket;
  readonly #queues: Record<ChannelLane, Queue[]> = { control: [], bulk: [] };
  readonly #bySource = new Map<UploadSource, Queue>();
  readonly #reads: Record<ChannelLane, number> = { control: 0, bulk: 0 };
  #timer: Timer | null = null;
  /** When it rings. */
  #timerUs = 0;
  #pumping = false;

  constructor(clock: Clock, limit: TokenBucket) {
    this.#clock = clock;
    this.compression = new CompressionBudget(clock);
    this.#limit = limit;
  }

  /** Queues a job and starts what may start. */
  add(source: UploadSource, job: UploadJob): void {
    let queue = this.#bySource.get(source);
    if (queue === undefined) {
      queue = { source, jobs: [], readingBytes: 0 };
      this.#bySource.set(source, queue);
      this.#queues[source.lane].push(queue);
    }
    queue.jobs.push(job);
    this.pump();
  }

  /** Takes a job back that has not started; false when it has. */
  remove(source: UploadSource, job: UploadJob): boolean {
    const jobs = this.#bySource.get(source)?.jobs;
    const index = jobs?.indexOf(job) ?? -1;
    if (index < 0) return false;
    jobs?.splice(index, 1);
    return true;
  }

  /** Drops a source with all that waits for it. */
  forget(source: UploadSource): void {
    const queue = this.#bySource.get(source);
    if (queue === undefined) return;
    this.#bySource.delete(source);
    queue.jobs.length = 0;
    this.#queues[source.lane] = this.#queues[source.lane].filter((other) => other !== queue);
  }

  /** Starts what may start: after an add, when a read ended, when a lane drained, when the limit opened. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let queue = this.#next(); queue !== undefined; queue = this.#next()) this.#start(queue);
    this.#pumping = false;
  }

  /** Ends the timer; queued jobs never start. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const source of [...this.#bySource.keys()]) this.forget(source);
  }

  #next(): Queue | undefined {
    const reads = this.#reads.control + this.#reads.bulk;
    if (reads >= MAX_SERVE_READS) return undefined;
    const fault = this.#queues.control.find(startable);
    const bulk = fault === undefined && this.#reads.bulk < MAX_BULK_READS ? this.#queues.bulk : [];
    const queue = this.#limit.open
      ? (fault ?? bulk.find((each) => startable(each) && each.source.gate.open))
      : undefined;
    if (queue === undefined) this.#wake(fault === undefined ? bulk.filter(startable) : [fault]);
    return queue;
  }

  /** Looks again when the limit and the first gate of these open. */
  #wake(waiting: readonly Queue[]): void {
    if (waiting.length === 0) return;
    const gateMs = Math.min(...waiting.map(({ source }) => source.gate.waitMs));
    const waitMs = Math.max(1, gateMs, this.#limit.waitMs);
    const atUs = this.#clock.nowUs() + waitMs * 1000;
    // What was booked and did not leave opens the limit sooner than was thought.
    if (this.#timer !== null && this.#timerUs <= atUs) return;
    this.#timer?.cancel();
    this.#timerUs = atUs;
    this.#timer = this.#clock.setTimer(waitMs, () => {
      this.#timer = null;
      this.pump();
    });
  }

  #start(queue: Queue): void {
    const { lane } = queue.source;
    const job = queue.jobs.shift()!;
    // To the end of the row: peers take turns.
    this.#queues[lane] = [...this.#queues[lane].filter((other) => other !== queue), queue];
    this.#limit.take(job.lengthBytes);
    queue.source.gate.take(job.lengthBytes);
    this.#reads[lane] += 1;
    queue.readingBytes += job.lengthBytes;
    void job.run().then((leavingBytes) => {
      // Booked before it was known.
      this.#limit.take(leavingBytes - job.lengthBytes);
      queue.source.gate.take(leavingBytes - job.lengthBytes);
      this.#reads[lane] -= 1;
      queue.readingBytes -= job.lengthBytes;
      this.pump();
    });
  }
}

function startable(queue: Queue): boolean {
  return queue.jobs.length > 0 && queue.readingBytes + queue.source.backlogBytes() < SERVE_AHEAD_BYTES;
}
