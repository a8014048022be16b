/**
 * How fast the way to another host is, found out by sending it a little over the memory lane: the other side tells how fast it came.
 *
 * Bounded in bytes and in time at both ends. The first half of it only opens TCP's window and is not counted; of the parts of the second the
 * median is, because a busy host reads some late and the next ones all at once. A host that knows no such stream cuts it, and the rate stays unknown. The lane's own limits hold for a probe as for memory.
 */
import { type Clock, type HostId, MIB, sleep } from '@diskswarm/core';
import type { PeerStream, StreamHandlers, Swarm } from '@diskswarm/swarm';

/** What a stream is called that carries a probe. */
export const PROBE_LABEL = 'rate-probe';
/** Bytes of one probe; more are not listened to. */
const MAX_PROBE_BYTES = 2 * MIB;
/** A probe that is not through by then is answered for what came. */
const PROBE_MS = 400;
/** Of a probe, that a rate needs: less says nothing. */
const LEAST_PROBE_BYTES = 48 * 1024;
/** Without an answer by then the rate is unknown. */
const ANSWER_MS = 3_000;
const PART_BYTES = 16 * 1024;
/** What the rate is measured over, one after the other. */
const SEGMENT_BYTES = 128 * 1024;

/** Sends the probe; bytes per second as the other side saw them, or null. */
export async function probeRate(swarm: Pick<Swarm, 'openStream'>, to: HostId, clock: Clock): Promise<number | null> {
  const answered = Promise.withResolvers<number | null>();
  const giveUp = clock.setTimer(ANSWER_MS, () => answered.resolve(null));
  let stream: PeerStream | null = null;
  try {
    const answer: number[] = [];
    let drained = Promise.withResolvers<void>();
    stream = swarm.openStream(to, PROBE_LABEL, () => ({
      onData: (bytes) => {
        for (const byte of bytes.subarray(0, ANSWER_BYTES - answer.length)) answer.push(byte);
      },
      onDrain: () => drained.resolve(),
      onEnd: () => answered.resolve(rateOf(Uint8Array.from(answer))),
      onClose: () => {
        drained.resolve();
        answered.resolve(null);
      },
    }));
    const part = new Uint8Array(PART_BYTES).fill(0x5a);
    let late = false;
    const deadline = sleep(clock, PROBE_MS).then(() => {
      late = true;
    });
    const sending = async (open: PeerStream): Promise<void> => {
      for (let bytes = 0; bytes < MAX_PROBE_BYTES && !late; bytes += PART_BYTES) {
        drained = Promise.withResolvers();
        if (!open.write(part)) await Promise.race([drained.promise, deadline]);
      }
      open.end();
    };
    await Promise.all([sending(stream), answered.promise]);
    return await answered.promise;
  } catch {
    return null; // Not connected, or too many streams.
  } finally {
    giveUp.cancel();
    stream?.destroy();
  }
}

/** The other end: takes the probe, and answers with what it measured when it ends. */
export function answerProbe(stream: PeerStream, clock: Clock): StreamHandlers {
  let bytes = 0;
  /** When each further segment was there, and first of all when anything was. */
  const atUs: number[] = [];
  let lastUs = 0;
  let firstBytes = 0;
  return {
    onData: (data) => {
      lastUs = clock.nowUs();
      bytes += data.length;
      if (atUs.length === 0) firstBytes = bytes;
      if (bytes > MAX_PROBE_BYTES) stream.destroy();
      else if (bytes >= atUs.length * SEGMENT_BYTES) atUs.push(lastUs);
    },
    onDrain: () => {},
    onEnd: () => {
      const rate = segmentRate(atUs) ?? meanRate(bytes - firstBytes, lastUs - (atUs[0] ?? lastUs));
      const answer = new Uint8Array(ANSWER_BYTES);
      new DataView(answer.buffer).setFloat64(0, rate);
      stream.write(answer);
      stream.end();
    },
    onClose: () => {},
  };
}

/** The median over the second half of the segments; null for fewer than four. */
function segmentRate(atUs: readonly number[]): number | null {
  const us = atUs.slice(1).map((end, index) => Math.max(LEAST_SEGMENT_US, end - atUs[index]!));
  if (us.length < 4) return null;
  const sorted = us.slice(Math.floor(us.length / 2)).toSorted((left, right) => left - right);
  const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return (SEGMENT_BYTES * 1e6) / middle;
}

function meanRate(lengthBytes: number, us: number): number {
  return lengthBytes < LEAST_PROBE_BYTES || us <= 0 ? 0 : (lengthBytes * 1e6) / us;
}

const LEAST_SEGMENT_US = 10;
const ANSWER_BYTES = 8;
/** Beyond it an answer is no rate of any link. */
const MAX_RATE = 2 ** 40;

function rateOf(answer: Uint8Array): number | null {
  if (answer.length !== ANSWER_BYTES) return null;
  const rate = new DataView(answer.buffer).getFloat64(0);
  return Number.isFinite(rate) && rate > 0 && rate <= MAX_RATE ? Math.round(rate) : null;
}
