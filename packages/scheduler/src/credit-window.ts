/**
 * How many bytes may be under way: a window that grows while answers come as fast as ever and shrinks when they queue.
 *
 * One per peer (its uplink, its disk) and one for the host (its own downlink). Like TCP Vegas and BBR, not like TCP:
 * - A round is half a window of answers, two at least; its shortest queueing time counts. A queue must stand for 20 ms,
 *   because until then it may as well be a busy process, here or there (CoDel's thought).
 * - Start: doubles per round trip until a round queued beyond the target.
 * - Then 1/16 of a chunk per round; after eight quiet rounds the step doubles each round, so a fast path is found again.
 * - A round that queued beyond the target: back to what the path holds with half the target queued, a chunk less than was
 *   under way, never below half. Answers to requests from before that say nothing any more.
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
  /** The shortest response to a request of this size. */
  readonly baseUs: number;
  /** Bytes under way just before the answer, itself included. */
  readonly outstandingBytes: number;
}

const QUIET_ROUNDS = 8;
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
  #starting = true;
  #stepBytes = 0;
  #quietRounds = 0;
  #validFromUs = Number.NEGATIVE_INFINITY;
  #roundSinceUs = Number.NEGATIVE_INFINITY;
  #roundBytes = 0;
  #roundAnswers = 0;
  #roundQueueUs = Number.POSITIVE_INFINITY;
  #roundLimited = false;
  #roundOutstandingBytes = 0;

  /** The window never falls below `floorChunks` chunks of the size last seen. */
  constructor({ floorChunks }: { floorChunks: number }) {
    this.#floorChunks = floorChunks;
  }

  /** The window now. */
  get bytes(): number {
    return this.#windowBytes;
  }

  /** True when a request for `lengthBytes` may join `outstandingBytes`; a lone request always may. */
  allows(outstandingBytes: number, lengthBytes: number): boolean {
    return outstandingBytes === 0 || outstandingBytes + lengthBytes <= this.#windowBytes;
  }

  /** Learns from an answer that came at `nowUs`. */
  learn(sample: CreditSample, nowUs: number): void {
    this.#chunkBytes = sample.bytes;
    this.#set(this.#windowBytes);
    if (sample.sentAtUs < this.#validFromUs) return;
    const targetUs = queueTargetUs(sample.baseUs);
    // Only a window that held something back can be too small.
    const limited = sample.outstandingBytes + sample.bytes > this.#windowBytes;
    if (this.#starting && limited && sample.queueUs <= targetUs) this.#set(this.#windowBytes + sample.bytes);
    this.#roundBytes += sample.bytes;
    this.#roundAnswers++;
    this.#roundQueueUs = Math.min(this.#roundQueueUs, sample.queueUs);
    this.#roundLimited ||= limited;
    this.#roundOutstandingBytes = Math.max(this.#roundOutstandingBytes, sample.outstandingBytes);
    if (this.#roundAnswers >= 2 && this.#roundBytes * 2 >= this.#windowBytes) {
      this.#endRound(targetUs, sample.baseUs, nowUs);
    }
  }

  /** The path stopped answering: back to the floor. */
  collapse(nowUs: number): void {
    this.#leaveStart();
    this.#set(0);
    this.#validFromUs = nowUs;
    this.#beginRound(nowUs);
  }

  #endRound(targetUs: number, baseUs: number, nowUs: number): void {
    const queueUs = this.#roundQueueUs;
    if (queueUs > targetUs) {
      if (nowUs - this.#roundSinceUs < PATIENCE.standingUs) return;
      const chunk = this.#chunkBytes;
      // Faults go past the window: what built the queue is what was under way, not what was allowed.
      const underWay = Math.max(this.#windowBytes, this.#roundOutstandingBytes);
      const held = ((baseUs + targetUs / 2) / (baseUs + queueUs)) * underWay;
      const oneLess = (Math.floor(underWay / chunk) - 1) * chunk;
      const holds = Math.max(this.#windowBytes / 2, Math.min(Math.ceil(held / chunk) * chunk, oneLess));
      this.#leaveStart();
      this.#set(Math.min(this.#windowBytes, holds));
      this.#validFromUs = nowUs;
    } else if (this.#roundLimited && !this.#starting) {
      this.#set(this.#windowBytes + this.#stepBytes);
      this.#quietRounds = queueUs <= targetUs / 2 ? this.#quietRounds + 1 : 0;
      const smallest = this.#chunkBytes / STEPS_PER_CHUNK;
      this.#stepBytes = this.#quietRounds > QUIET_ROUNDS ? Math.min(this.#stepBytes * 2, this.#windowBytes) : smallest;
    }
    this.#beginRound(nowUs);
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
    this.#roundLimited = false;
    this.#roundOutstandingBytes = 0;
  }

  #set(bytes: number): void {
    const floor = this.#floorChunks * this.#chunkBytes;
    this.#windowBytes = Math.min(SCHEDULER_LIMITS.creditCeilingBytes, Math.max(floor, bytes));
  }
}
