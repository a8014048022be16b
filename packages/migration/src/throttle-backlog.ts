/**
 * What waits to be sent of what a guest writes, and how fast it drains: the observation that throttle policies decide by. Pure.
 *
 * Fed with what each round held, what the destination misses of it, and what was written since. Everything is in the bytes in which the destination
 * counts: a dirty block at the source counts as what the blocks of the last round became there.
 */

/** How the guest's writes and the link stand to each other. */
export interface ThrottleObservation {
  /** The round on its way, or the last one. Before the second nothing was written that could outrun anything. */
  readonly round: number;
  /** True when the destination has all of that round. */
  readonly drained: boolean;
  /** What the next round holds by now over what was sent of this one; null while that says nothing. */
  readonly growth: number | null;
  /** Writes whose data the destination does not have. */
  readonly pendingWrites: number;
  /** Bytes that wait: the rest of the round, and what was written since. */
  readonly waitingBytes: number;
  /** What the destination takes; 0 while unknown. */
  readonly drainBytesPerSecond: number;
  /** What a write adds to what waits; 0 while unknown. */
  readonly bytesPerWrite: number;
  readonly writesPerSecond: number;
}

export interface Backlog {
  readonly round: number;
  readonly sealedAtUs: number;
  /** What the destination missed of the round when it first said so; null before. */
  readonly roundBytes: number | null;
  readonly missingBytes: number;
  readonly missingAtUs: number;
  /** Writes that the round holds. */
  readonly roundWrites: number;
  /** Writes of the guest up to the seal of the round. */
  readonly sealedWrites: number;
  /** Dirty bytes that became the round. */
  readonly roundDirtyBytes: number;
  /** Bytes at the destination for each dirty byte at the source. */
  readonly widening: number;
  readonly drainBytesPerSecond: number | null;
  readonly writes: number;
  readonly dirtyBytes: number;
  readonly writtenAtUs: number;
  readonly writesPerSecond: number;
}

export type BacklogEvent =
  /** The guest's writes in total, and the dirty bytes that no round holds. */
  | { readonly kind: 'written'; readonly writes: number; readonly dirtyBytes: number; readonly nowUs: number }
  /** A round holds what was dirty, and was written, when its seal began. */
  | {
      readonly kind: 'sealed';
      readonly round: number;
      readonly writes: number;
      readonly dirtyBytes: number;
      readonly nowUs: number;
    }
  /** The destination's word. */
  | { readonly kind: 'missing'; readonly round: number; readonly missingBytes: number; readonly nowUs: number };

/** Rates follow what is measured within about this time. */
const SMOOTHING_US = 2_000_000;
/** A round that was sent in part says something of the next when it is so old: a seal and the way to full speed take their time. */
const TELLING_US = 5_000_000;

/** Where counting begins: `writes` is the guest's total so far. */
export function initialBacklog(writes: number, nowUs: number): Backlog {
  return {
    round: 0,
    sealedAtUs: nowUs,
    roundBytes: null,
    missingBytes: 0,
    missingAtUs: nowUs,
    roundWrites: 0,
    sealedWrites: writes,
    roundDirtyBytes: 0,
    widening: 1,
    drainBytesPerSecond: null,
    writes,
    dirtyBytes: 0,
    writtenAtUs: nowUs,
    writesPerSecond: 0,
  };
}

export function applyBacklog(state: Backlog, event: BacklogEvent): Backlog {
  switch (event.kind) {
    case 'written': {
      const { writes, dirtyBytes, nowUs } = event;
      const overUs = nowUs - state.writtenAtUs;
      if (overUs <= 0) return { ...state, writes, dirtyBytes };
      const writesPerSecond = smoothed(state.writesPerSecond, ((writes - state.writes) * 1e6) / overUs, overUs);
      return { ...state, writes, dirtyBytes, writtenAtUs: nowUs, writesPerSecond };
    }
    case 'sealed':
      return {
        ...state,
        round: event.round,
        sealedAtUs: event.nowUs,
        roundBytes: null,
        missingBytes: 0,
        roundWrites: event.writes - state.sealedWrites,
        sealedWrites: event.writes,
        roundDirtyBytes: event.dirtyBytes,
        dirtyBytes: 0,
      };
    case 'missing':
      return event.round === state.round ? missing(state, event.missingBytes, event.nowUs) : state;
  }
}

export function observe(state: Backlog): ThrottleObservation {
  const { roundBytes, missingBytes, dirtyBytes, widening } = state;
  const nextBytes = dirtyBytes * widening;
  const sentBytes = roundBytes === null ? 0 : roundBytes - missingBytes;
  const rest = roundBytes === null ? 1 : roundBytes === 0 ? 0 : missingBytes / roundBytes;
  const drained = roundBytes !== null && missingBytes === 0;
  const telling = drained || Math.max(state.writtenAtUs, state.missingAtUs) - state.sealedAtUs >= TELLING_US;
  const writesSince = state.writes - state.sealedWrites;
  // Until the destination has looked at a round, all of it waits.
  const roundWaits = roundBytes === null ? state.roundDirtyBytes * widening : missingBytes;
  return {
    round: state.round,
    drained,
    growth: telling && sentBytes > 0 ? nextBytes / sentBytes : null,
    pendingWrites: writesSince + state.roundWrites * rest,
    waitingBytes: roundWaits + nextBytes,
    drainBytesPerSecond: state.drainBytesPerSecond ?? 0,
    bytesPerWrite: writesSince > 0 ? nextBytes / writesSince : 0,
    writesPerSecond: state.writesPerSecond,
  };
}

function missing(state: Backlog, missingBytes: number, nowUs: number): Backlog {
  const next = { ...state, missingBytes, missingAtUs: nowUs };
  if (state.roundBytes === null) {
    // The first round is the disk, not what was written.
    const measures = state.round > 1 && state.roundDirtyBytes > 0;
    const widening = measures ? missingBytes / state.roundDirtyBytes : state.widening;
    return { ...next, roundBytes: missingBytes, widening };
  }
  const overUs = nowUs - state.missingAtUs;
  if (state.missingBytes === 0 || overUs <= 0) return next;
  const rate = (Math.max(0, state.missingBytes - missingBytes) * 1e6) / overUs;
  const before = state.drainBytesPerSecond;
  return { ...next, drainBytesPerSecond: before === null ? rate : smoothed(before, rate, overUs) };
}

function smoothed(before: number, sample: number, overUs: number): number {
  return sample + (before - sample) * Math.exp(-overUs / SMOOTHING_US);
}
