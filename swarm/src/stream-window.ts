/**
 * How many bytes of each stream may be on their way: its part of what the link carries in two round trips, and a little for a busy machine.
 *
 * The rate is the best that all streams of a link together reached, because one that is quiet now may have to bring the rest of a guest's
 * memory in a moment. The round trip is the shortest that was measured: one that is measured behind the streams' own bytes is
 * longer by these, and a window that followed it would fill whatever queue there is, all of which a moving guest waits for in its pause.
 */
import type { Clock } from '@diskswarm/core';
import { FIRST_STREAM_WINDOW_BYTES, LEAST_STREAM_WINDOW_BYTES, MAX_STREAM_WINDOW_BYTES } from './limits.ts';

/** Long enough that bytes which come in bursts do not look like a faster link. */
const SLOT_US = 500_000;
/** How long this machine may be busy elsewhere before a sender waits for it. */
const SLACK_SECONDS = 0.1;
/** The rate counts once so much came: less may all have been small talk. */
const KNOWN_AFTER_BYTES = 4 * FIRST_STREAM_WINDOW_BYTES;

export class StreamWindow {
  readonly #clock: Clock;
  #slotAtUs: number;
  #slotBytes = 0;
  readonly #slotStreams = new Set<number>();
  /** Streams that brought something in the last slot. */
  #busy = 1;
  #bytes = 0;
  #bestRate = 0;
  #leastRttUs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#slotAtUs = clock.nowUs();
  }

  /** Bytes of a stream came. */
  received(stream: number, lengthBytes: number): void {
    const nowUs = this.#clock.nowUs();
    const elapsedUs = nowUs - this.#slotAtUs;
    if (elapsedUs >= SLOT_US) {
      this.#bestRate = Math.max(this.#bestRate, (this.#slotBytes * 1e6) / elapsedUs);
      this.#busy = Math.max(1, this.#slotStreams.size);
      this.#slotStreams.clear();
      this.#slotAtUs = nowUs;
      this.#slotBytes = 0;
    }
    this.#slotStreams.add(stream);
    this.#slotBytes += lengthBytes;
    this.#bytes += lengthBytes;
  }

  /** A round trip on the link was measured. */
  measured(rttUs: number): void {
    this.#leastRttUs = Math.min(this.#leastRttUs, rttUs);
  }

  /** Of one stream. */
  get bytes(): number {
    const rate = this.#bestRate / this.#busy;
    if (this.#bytes < KNOWN_AFTER_BYTES || rate === 0 || this.#leastRttUs === Number.POSITIVE_INFINITY)
      return FIRST_STREAM_WINDOW_BYTES;
    const flightBytes = (2 * rate * this.#leastRttUs) / 1e6;
    const slackBytes = Math.min(FIRST_STREAM_WINDOW_BYTES, rate * SLACK_SECONDS);
    return Math.min(MAX_STREAM_WINDOW_BYTES, Math.max(LEAST_STREAM_WINDOW_BYTES, Math.ceil(flightBytes + slackBytes)));
  }
}
