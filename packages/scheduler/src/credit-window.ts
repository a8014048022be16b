/**
 * How many bytes may be under way: a window that grows while answers come as fast as ever and shrinks when they queue.
 *
 * One per peer (its uplink, its disk) and one for the host (its own downlink). Like TCP Vegas and BBR, not like TCP:
 * - A round is half a window of answers, two at least; its shortest queueing time counts. A queue must stand for 20 ms, and
 *   beyond a LAN for four answers, because until then it may as well be a busy process, here or there (CoDel's thought).
 * - Start: doubles per round trip until a round queued beyond the target.
 * - Then 1/16 of a chunk per round; after eight quiet rounds the step doubles each round, so a fast path is found again.
 * - A round that queued beyond the target: back to what the path holds with half the target queued, a chunk less than was
 *   under way, never below half. Answers to requests from before that say nothing any more.
 * - What lone answers take beyond the shortest is no queue of this window's, but a busy machine or somebody else's queue. It is not
 *   cut for that, nor grown: then it goes no further than quick answers bore in the last 30 to 60 s (512 KiB where none did), so
 *   that it is right when answers are quick again, and gives way to others in proportion to the delay.
 * - The host's window is not cut for a round that one peer answered alone: that is the peer's own queue, which its own window sees.
 *   Cut for it, the host's would never hold more than that peer takes, and whoever else has chunks would not be asked.
 * - `keep`: never below so much, for a path that somebody else parts fairly: giving in there would leave it to what it is parted with.
 * - Target: a quarter of the shortest response, 4 to 25 ms; on a LAN (answers within 5 ms) 20 ms, because there the queue
 *   stands in the sender's socket, which faults do not share. Floor 1 or 2 chunks, ceiling 8 MiB.
 */
import { PATIENCE, SCHEDULER_LIMITS } from './limits.ts';

/** One background answer. */
export interface CreditSample {
  readonly bytes: number;
  readonly sentAtUs: number;
  /** Response time beyond the shortest one. */
  readonly queueUs: number;
  /** How much of that a lone answer takes too. @default 0 */
  readonly excessUs?: number;
  /** The shortest response to a request of this size. */
  readonly baseUs: number;
  /** Bytes under way just before the answer, itself included. */
  readonly outstandingBytes: number;
  /** Who answered, for a window of several peers. */
  readonly from?: unknown;
}

const QUIET_ROUNDS = 8;
/** A process that stands still for a moment delays all that is under way then, and nothing that is asked for afterwards. */
const QUEUED_ANSWERS = 4;
const STEPS_PER_CHUNK = 16;

/** The queue that background may build where an undisturbed answer takes `baseUs`. */
export function queueTargetUs(baseUs: number): number {
  if (baseUs < PATIENCE.lanUs) return PATIENCE.lanTargetUs;
  return Math.min(PATIENCE.targetMaxUs, Math.max(PATIENCE.targetMinUs, baseUs / 4));
}

export class CreditWindow {
  readonly #floorChunks: number;
  #windowBytes: number = SCHEDULER_LIMITS.creditStartBytes;
  #chunkBytes = 0;
  #keptBytes = 0;
  #starting = true;
  #stepBytes = 0;
  #quietRounds = 0;
  #validFromUs = Number.NEGATIVE_INFINITY;
  #roundSinceUs = Number.NEGATIVE_INFINITY;
  #roundBytes = 0;
  #roundAnswers = 0;
  #roundQueueUs = Number.POSITIVE_INFINITY;
  /** The same with what lone answers take. */
  #roundDelayUs = Number.POSITIVE_INFINITY;
  #roundLimited = false;
  #roundOutstandingBytes = 0;
  readonly #roundFrom = new Set<unknown>();
  #atFloor = false;
  #reopenedUs = Number.NEGATIVE_INFINITY;
  /** The largest window that quick answers bore, now and before, and since when. */
  #proven = { bytes: 0, beforeBytes: 0, sinceUs: Number.NEGATIVE_INFINITY };

  /** The window never falls below `floorChunks` chunks of the size last seen. */
  constructor({ floorChunks }: { floorChunks: number }) {
    this.#floorChunks = floorChunks;
  }

  /** The window now. */
  get bytes(): number {
    return this.#windowBytes;
  }

  /** True when answers seem to queue though no more than the least is under way: maybe the shortest response is out of date. */
  get starved(): boolean {
    return this.#atFloor;
  }

  /** True when a request for `lengthBytes` may join `outstandingBytes`; a lone request always may. */
  allows(outstandingBytes: number, lengthBytes: number): boolean {
    return outstandingBytes === 0 || outstandingBytes + lengthBytes <= this.#windowBytes;
  }

  /** The window never falls below so many bytes, whatever queues; 0: as ever. */
  keep(keptBytes: number): void {
    this.#keptBytes = keptBytes;
    this.#set(this.#windowBytes);
  }

  /** Learns from an answer that came at `nowUs`. */
  learn(sample: CreditSample, nowUs: number): void {
    this.#chunkBytes = sample.bytes;
    this.#set(this.#windowBytes);
    if (sample.sentAtUs < this.#validFromUs) return;
    const targetUs = queueTargetUs(sample.baseUs);
    const excessUs = sample.excessUs ?? 0;
    const queueUs = Math.max(0, sample.queueUs - excessUs);
    // Only a window that held something back can be too small.
    const limited = sample.outstandingBytes + sample.bytes > this.#windowBytes;
    if (this.#starting && limited && queueUs <= targetUs) this.#grow(sample.bytes, sample.queueUs <= targetUs);
    this.#roundBytes += sample.bytes;
    this.#roundAnswers++;
    this.#roundQueueUs = Math.min(this.#roundQueueUs, queueUs);
    this.#roundDelayUs = Math.min(this.#roundDelayUs, sample.queueUs);
    this.#roundLimited ||= limited;
    if (sample.from !== undefined) this.#roundFrom.add(sample.from);
    this.#roundOutstandingBytes = Math.max(this.#roundOutstandingBytes, sample.outstandingBytes);
    if (this.#roundAnswers >= 2 && this.#roundBytes * 2 >= this.#windowBytes) {
      this.#endRound(targetUs, sample.baseUs + excessUs, nowUs);
    }
  }

  /** What it was cut for was no queue of its own: as at the start, as far as it may go. Not again soon, for who is slow by turns. */
  reopen(nowUs: number): void {
    if (nowUs - this.#reopenedUs < PATIENCE.reopenUs) return;
    this.#reopenedUs = nowUs;
    this.#starting = true;
    this.#atFloor = false;
    this.#validFromUs = nowUs;
    this.#beginRound(nowUs);
  }

  /** The path stopped answering: back to the floor. */
  collapse(nowUs: number): void {
    this.#leaveStart();
    this.#set(0);
    this.#validFromUs = nowUs;
    this.#beginRound(nowUs);
  }

  #endRound(targetUs: number, usualUs: number, nowUs: number): void {
    const queueUs = this.#roundQueueUs;
    if (queueUs > targetUs && this.#roundFrom.size === 1) {
      this.#leaveStart();
      this.#beginRound(nowUs);
      return;
    }
    if (queueUs > targetUs) {
      if (nowUs - this.#roundSinceUs < PATIENCE.standingUs) return;
      if (usualUs >= PATIENCE.lanUs && this.#roundAnswers < QUEUED_ANSWERS) return;
      const chunk = this.#chunkBytes;
      // Faults go past the window: what built the queue is what was under way, not what was allowed.
      const underWay = Math.max(this.#windowBytes, this.#roundOutstandingBytes);
      const held = ((usualUs + targetUs / 2) / (usualUs + queueUs)) * underWay;
      const oneLess = (Math.floor(underWay / chunk) - 1) * chunk;
      const holds = Math.max(this.#windowBytes / 2, Math.min(Math.ceil(held / chunk) * chunk, oneLess));
      this.#leaveStart();
      this.#set(Math.min(this.#windowBytes, holds));
      this.#validFromUs = nowUs;
      this.#atFloor = this.#keptBytes === 0 && this.#windowBytes === this.#floorBytes;
      this.#beginRound(nowUs);
      return;
    }
    this.#atFloor = false;
    const quick = this.#roundDelayUs <= targetUs;
    if (quick && this.#roundLimited) this.#prove(nowUs);
    if (this.#roundLimited && !this.#starting) {
      this.#grow(this.#stepBytes, quick);
      this.#quietRounds = queueUs <= targetUs / 2 ? this.#quietRounds + 1 : 0;
      const smallest = this.#chunkBytes / STEPS_PER_CHUNK;
      this.#stepBytes = this.#quietRounds > QUIET_ROUNDS ? Math.min(this.#stepBytes * 2, this.#windowBytes) : smallest;
    }
    this.#beginRound(nowUs);
  }

  /** Answers that are slow for whatever reason do not show that more would be borne. */
  #grow(bytes: number, quick: boolean): void {
    const { bytes: nowBytes, beforeBytes } = this.#proven;
    const boundBytes = Math.max(nowBytes, beforeBytes) || SCHEDULER_LIMITS.creditUnprovenBytes;
    if (quick) this.#set(this.#windowBytes + bytes);
    else if (this.#windowBytes < boundBytes) this.#set(Math.min(boundBytes, this.#windowBytes + bytes));
    else if (this.#starting) this.#leaveStart();
  }

  #prove(nowUs: number): void {
    const { bytes, sinceUs } = this.#proven;
    if (nowUs - sinceUs > PATIENCE.baseWindowUs) {
      this.#proven = { bytes: this.#windowBytes, beforeBytes: bytes, sinceUs: nowUs };
    } else {
      this.#proven.bytes = Math.max(bytes, this.#windowBytes);
    }
  }

  #leaveStart(): void {
    this.#starting = false;
    this.#quietRounds = 0;
    this.#stepBytes = this.#chunkBytes / STEPS_PER_CHUNK;
  }

  #beginRound(nowUs: number): void {
    this.#roundSinceUs = nowUs;
    this.#roundBytes = 0;
    this.#roundAnswers = 0;
    this.#roundQueueUs = Number.POSITIVE_INFINITY;
    this.#roundDelayUs = Number.POSITIVE_INFINITY;
    this.#roundLimited = false;
    this.#roundOutstandingBytes = 0;
    this.#roundFrom.clear();
  }

  get #floorBytes(): number {
    return Math.max(this.#keptBytes, this.#floorChunks * this.#chunkBytes);
  }

  #set(bytes: number): void {
    this.#windowBytes = Math.min(SCHEDULER_LIMITS.creditCeilingBytes, Math.max(this.#floorBytes, bytes));
  }
}
