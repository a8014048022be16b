/**
 * The sending side of a modelled host: what waits to be served, and the line that it leaves by.
 *
 * The line is first in, first out; what is in it cannot be overtaken nor taken back. Before it, faults go ahead of background and peers
 * take turns, chunk by chunk, as in swarm's upload queue. Background enters only while less than its target stands in the line
 * (the agents' upload pace, taken here as always on target), faults until the line's buffer is full.
 */
import type { Lane } from '@diskswarm/scheduler';
import { UPLOAD_PACE } from '@diskswarm/scheduler';
import type { Timeline } from './timeline.ts';

/** The buffer of the line: 200 ms, as the runs have it. */
const BUFFER_US = 200_000;
/** Bytes on an Ethernet line for each byte of TCP payload: 1448 of 1514 are payload. */
export const FRAMED = 1514 / 1448;
/** Of acknowledgements the other way: 66 bytes for every second segment. */
export const ACKNOWLEDGED = 33 / 1448;

/** A chunk to be sent. */
export interface Job {
  readonly to: number;
  readonly lane: Lane;
  readonly lengthBytes: number;
  /** Nobody waits any more; looked at when its turn comes. */
  cancelled: boolean;
  /** One way. */
  readonly delayUs: number;
  /** All of it is at the other end. */
  readonly arrive: () => void;
}

/** Jobs by peer, the peers in turn. */
class Turns {
  readonly #queues = new Map<number, Job[]>();

  add(job: Job): void {
    const queue = this.#queues.get(job.to);
    if (queue === undefined) this.#queues.set(job.to, [job]);
    else queue.push(job);
  }

  take(): Job | undefined {
    for (const [peer, queue] of this.#queues) {
      this.#queues.delete(peer);
      let job = queue.shift();
      while (job?.cancelled === true) job = queue.shift();
      if (queue.length > 0) this.#queues.set(peer, queue);
      if (job !== undefined) return job;
    }
    return undefined;
  }

  get waiting(): boolean {
    return this.#queues.size > 0;
  }
}

export class Sender {
  readonly #timeline: Timeline;
  readonly #bytesPerUs: number;
  readonly #waiting: Readonly<Record<Lane, Turns>> = { fault: new Turns(), bulk: new Turns() };
  #freeAtUs = 0;
  #waking = false;
  /** Chunk bytes that entered the line. */
  sentBytes = 0;

  constructor(timeline: Timeline, bitsPerSecond: number) {
    this.#timeline = timeline;
    this.#bytesPerUs = bitsPerSecond / 8e6;
  }

  add(job: Job): void {
    this.#waiting[job.lane].add(job);
    this.#pump();
  }

  #pump(): void {
    const { fault, bulk } = this.#waiting;
    while (fault.waiting && this.#standingUs < BUFFER_US) this.#send(fault.take());
    while (!fault.waiting && bulk.waiting && this.#standingUs < UPLOAD_PACE.targetUs) this.#send(bulk.take());
    if (this.#waking || !(fault.waiting || bulk.waiting)) return;
    this.#waking = true;
    this.#timeline.at(this.#freeAtUs - (fault.waiting ? BUFFER_US : UPLOAD_PACE.targetUs) + 1, () => {
      this.#waking = false;
      this.#pump();
    });
  }

  get #standingUs(): number {
    return this.#freeAtUs - this.#timeline.nowUs;
  }

  #send(job: Job | undefined): void {
    if (job === undefined) return;
    this.sentBytes += job.lengthBytes;
    this.#freeAtUs = Math.max(this.#freeAtUs, this.#timeline.nowUs) + (job.lengthBytes * FRAMED) / this.#bytesPerUs;
    this.#timeline.at(this.#freeAtUs + job.delayUs, job.arrive);
  }
}
