/** The background's rate on a modelled uplink: others keep their share, what nobody uses is used, noise costs nothing. */
import test from 'ava';
import { UPLOAD_PACE, UploadPace } from '../src/index.ts';

/** An uplink of 20 Mbit/s with a buffer of 300 ms in the modem, 20 ms from the other end and back. */
const CAPACITY = 2_500_000;
const BUFFER_BYTES = 0.3 * CAPACITY;
const BASE_US = 20_000;
const STEP_US = 1_000;
const PACKET = 1_500;
/** What a host that knows no bounds would send: more than the line carries. */
const DEMAND = 2 * CAPACITY;

/** Another flow on the uplink. */
interface Competitor {
  /** Bytes per second it sends now. */
  rate(rttUs: number): number;
  /** Once a round trip, with what was lost of it. */
  roundTrip(lost: boolean): void;
}

/** A download manager's upload, a video call: so much, always. */
const constant = (bytesPerSecond: number): Competitor => ({ rate: () => bytesPerSecond, roundTrip: () => {} });

/** TCP as it is known: one packet more per round trip, half after a loss. */
function tcp(): Competitor {
  let windowBytes = 10 * PACKET;
  return {
    rate: (rttUs) => (windowBytes * 1e6) / rttUs,
    roundTrip: (lost) => {
      windowBytes = lost ? Math.max(2 * PACKET, windowBytes / 2) : windowBytes + PACKET;
    },
  };
}

interface Shares {
  /** Parts of the line. */
  readonly background: number;
  readonly other: number;
  readonly queueMs: number;
}

/** The line, step by step: a fluid model of one queue that both flows share. */
class Uplink {
  readonly pace = new UploadPace();
  nowUs = 0;
  #queue = { background: 0, other: 0 };
  #nextProbeUs = 0;
  #nextRoundUs = 0;
  #lost = false;

  /** Runs for so long; what each got, and the mean queue. */
  run(seconds: number, other: Competitor | null, { demand = DEMAND, noiseMs = (): number => 0 } = {}): Shares {
    const sent = { background: 0, other: 0 };
    let queueSum = 0;
    const steps = (seconds * 1e6) / STEP_US;
    for (let step = 0; step < steps; step++, this.nowUs += STEP_US) {
      const queued = this.#queue.background + this.#queue.other;
      const rttUs = BASE_US + (queued * 1e6) / CAPACITY;
      const arriving = {
        background: (Math.min(demand, this.pace.bytesPerSecond ?? demand) * STEP_US) / 1e6,
        other: ((other?.rate(rttUs) ?? 0) * STEP_US) / 1e6,
      };
      const room = Math.max(0, BUFFER_BYTES - queued);
      const fits = Math.min(1, room / Math.max(1e-9, arriving.background + arriving.other));
      if (fits < 1) this.#lost = true;
      this.pace.sent(arriving.background * fits);
      const carried = (CAPACITY * STEP_US) / 1e6;
      const waiting = { background: 0, other: 0 };
      for (const flow of ['background', 'other'] as const) waiting[flow] = this.#queue[flow] + arriving[flow] * fits;
      const part = Math.min(1, carried / Math.max(1e-9, waiting.background + waiting.other));
      for (const flow of ['background', 'other'] as const) {
        sent[flow] += waiting[flow] * part;
        this.#queue[flow] = waiting[flow] * (1 - part);
      }
      queueSum += (this.#queue.background + this.#queue.other) / CAPACITY;
      if (this.nowUs >= this.#nextProbeUs) {
        this.pace.measured(rttUs + noiseMs() * 1000, this.nowUs);
        this.#nextProbeUs = this.nowUs + Math.max(50_000, rttUs);
      }
      if (other !== null && this.nowUs >= this.#nextRoundUs) {
        other.roundTrip(this.#lost);
        this.#lost = false;
        this.#nextRoundUs = this.nowUs + rttUs;
      }
    }
    const line = CAPACITY * seconds;
    return { background: sent.background / line, other: sent.other / line, queueMs: (queueSum / steps) * 1000 };
  }
}

test('an idle line is used, and what waits in it stays short', (t) => {
  const uplink = new Uplink();
  uplink.run(5, null);
  const { background, queueMs } = uplink.run(30, null);
  t.true(background > 0.9, `${background} of the line`);
  t.true(queueMs < 70, `${queueMs} ms in the queue`);
});

test('a flow that fills every queue, as TCP does, keeps nearly all of the line', (t) => {
  const uplink = new Uplink();
  uplink.run(10, null);
  const other = tcp();
  uplink.run(20, other);
  const { background, other: share } = uplink.run(60, other);
  t.true(share > 0.85, `${share} of the line`);
  t.true(background > 0, 'the background goes on, if slowly');
});

test('a flow that needs a third of the line gets it, with little delay, and the rest is used', (t) => {
  const uplink = new Uplink();
  uplink.run(10, null);
  uplink.run(5, constant(0.33 * CAPACITY));
  const { background, other, queueMs } = uplink.run(30, constant(0.33 * CAPACITY));
  t.true(other > 0.325, `${other} of the line`);
  t.true(background > 0.55, `${background} of the line`);
  t.true(queueMs < 90, `${queueMs} ms in the queue`);
});

test('when the other flow ends the line is used again within seconds', (t) => {
  const uplink = new Uplink();
  const other = tcp();
  uplink.run(60, other);
  t.true(uplink.run(10, other).background < 0.15);
  uplink.run(10, null);
  const { background } = uplink.run(10, null);
  t.true(background > 0.85, `${background} of the line`);
});

test('a busy process that delays some answers holds nothing back', (t) => {
  const uplink = new Uplink();
  let turn = 0;
  const noiseMs = (): number => (++turn % 3 === 0 ? 1 : 150);
  uplink.run(30, null, { demand: 0.3 * CAPACITY, noiseMs });
  t.is(uplink.pace.bytesPerSecond, null);
});

test('what was held back is free again once nothing queues and less is sent than is allowed', (t) => {
  const uplink = new Uplink();
  uplink.run(10, null);
  t.not(uplink.pace.bytesPerSecond, null);
  uplink.run(30, null, { demand: 0.1 * CAPACITY });
  t.is(uplink.pace.bytesPerSecond, null);
});

test('the rate never falls below its floor, nor rises beyond what was used', (t) => {
  const pace = new UploadPace();
  let nowUs = 0;
  const round = (rttUs: number, sentBytes: number): number | null => {
    pace.sent(sentBytes);
    for (let sample = 0; sample < UPLOAD_PACE.roundSamples + 1; sample++) {
      nowUs += 100_000;
      pace.measured(rttUs, nowUs);
    }
    return pace.bytesPerSecond;
  };
  round(20_000, 100_000);
  for (let count = 0; count < 40; count++) round(2_000_000, 100_000);
  t.is(pace.bytesPerSecond, UPLOAD_PACE.floorBytesPerSecond);
  for (let count = 0; count < 40; count++) round(20_000, 1_000);
  const rate = pace.bytesPerSecond ?? 0;
  t.true(
    pace.bytesPerSecond === null || rate < 200_000,
    `${rate}: hardly anything was sent, so nothing is known to be free`,
  );
});

test('a longer way is believed after some minutes', (t) => {
  const pace = new UploadPace();
  let nowUs = 0;
  for (let second = 0; second < 600; second += 0.1) {
    pace.sent(50_000);
    nowUs += 100_000;
    pace.measured(second < 60 ? 20_000 : 120_000, nowUs);
  }
  t.true((pace.bytesPerSecond ?? Number.POSITIVE_INFINITY) > 400_000);
});

test('a pace that fell low rises again, though its chunks leave seconds apart', (t) => {
  const pace = new UploadPace();
  const chunkBytes = 65_536;
  let nowUs = 0;
  let leftUs = 0;
  /** Chunks as swarm sends them over 20 Mbit/s, each with its ping, to a receiver that has so many under way; bytes per second. */
  const send = (seconds: number, chunks: number, rttMs: number): number => {
    const [sinceUs, untilUs] = [nowUs, nowUs + seconds * 1e6];
    let sentBytes = 0;
    while (nowUs < untilUs) {
      if (nowUs - leftUs > UPLOAD_PACE.pauseUs) pace.restart();
      leftUs = nowUs;
      pace.sent(chunkBytes);
      sentBytes += chunkBytes;
      const tookUs = rttMs * 1000;
      pace.measured(tookUs, nowUs + tookUs);
      const lineUs = (chunkBytes * 1e6) / CAPACITY;
      const paceUs = (chunkBytes * 1e6) / (pace.bytesPerSecond ?? CAPACITY);
      nowUs += Math.max(lineUs, paceUs, tookUs, (tookUs + lineUs) / chunks);
    }
    return (sentBytes * 1e6) / (nowUs - sinceUs);
  };
  const quick = send(20, 4, 60);
  // A busy machine: the receiver asks for one chunk after the other, less than it may, and then nothing moves for some seconds.
  send(20, 1, 120);
  send(2, 1, 60);
  send(4, 1, 1_500);
  t.true(pace.bytesPerSecond! < chunkBytes, `${pace.bytesPerSecond} bytes per second: it gave in`);
  send(30, 1, 60);
  const after = send(20, 4, 60);
  t.true(after > 0.8 * quick, `${after} of ${quick} bytes per second`);
  send(60, 1, 300);
  const low = pace.bytesPerSecond!;
  nowUs += 3_600_000_000;
  send(5, 1, 60);
  t.true(pace.bytesPerSecond! >= low, 'an hour without anything to send is no slow round');
});
