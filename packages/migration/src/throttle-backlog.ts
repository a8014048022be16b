/**
 * What waits to be sent of what a guest writes, and how fast it drains: the observation that throttle policies decide by. Pure.
 *
 * Fed with what each round held, what the destination misses of it, and what was written since. Everything is in the bytes in which the destination
 * counts: a dirty block at the source counts as what the blocks of the last round became there. A round may begin before the one before it is whole.
 */

/** How the guest's writes and the link stand to each other. */
export interface ThrottleObservation {
  /** What came to wait over what was sent, between the last two looks that tell; null before. Above 1 more and more waits. */
  readonly growth: number | null;
  /** The last of these looks was at the border of two rounds, where nothing is counted twice. */
  readonly atBorder: boolean;
  /** What waited when the last round was whole, over what it sent: what the next one is of it. Null before the second, and for one that was overtaken. */
  readonly roundGrowth: number | null;
  /** How many of these looks there were. */
  readonly looks: number;
  /** The round on its way, or the last one. */
  readonly round: number;
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

/** Where growth is measured from. */
interface Mark {
  readonly round: number;
  readonly waitingBytes: number;
  readonly drainedBytes: number;
  readonly atUs: number;
}

export interface Backlog {
  readonly round: number;
  /** What the destination missed of the round when it first said so; null before. */
  readonly roundBytes: number | null;
  /** What it misses by its last word, of this round or the one before. */
  readonly missingBytes: number;
  readonly missingAtUs: number;
  /** Bytes that left since counting began. */
  readonly drainedBytes: number;
  /** Writes that the round holds, with those it took over from the one before. */
  readonly roundWrites: number;
  /** Those that were made since the one before. */
  readonly ownWrites: number;
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
  readonly mark: Mark | null;
  /** Bytes that had left before the first of the round did; null for a round that took over what another one left. */
  readonly roundDrainedFrom: number | null;
  readonly growth: number | null;
  readonly atBorder: boolean;
  readonly roundGrowth: number | null;
  readonly looks: number;
}

export type BacklogEvent =
  /** The guest's writes in total, and the dirty bytes that no round holds. */
  | { readonly kind: 'written'; readonly writes: number; readonly dirtyBytes: number; readonly nowUs: number }
  /** A round holds what was dirty, and was written, when its seal began. */
  | { readonly kind: 'sealed'; readonly round: number; readonly writes: number; readonly dirtyBytes: number }
  /** The destination's word. */
  | { readonly kind: 'missing'; readonly round: number; readonly missingBytes: number; readonly nowUs: number };

/** Rates follow what is measured within about this time. */
const SMOOTHING_US = 2_000_000;
/** Between two looks that tell, unless a round is whole before: a seal and the way to full speed take their time. */
const TELLING_US = 5_000_000;

/** Where counting begins: `writes` is the guest's total so far. */
export function initialBacklog(writes: number, nowUs: number): Backlog {
  return {
    round: 0,
    roundBytes: null,
    missingBytes: 0,
    missingAtUs: nowUs,
    drainedBytes: 0,
    roundWrites: 0,
    ownWrites: 0,
    sealedWrites: writes,
    roundDirtyBytes: 0,
    widening: 1,
    drainBytesPerSecond: null,
    writes,
    dirtyBytes: 0,
    writtenAtUs: nowUs,
    writesPerSecond: 0,
    mark: null,
    roundDrainedFrom: null,
    growth: null,
    atBorder: false,
    roundGrowth: null,
    looks: 0,
  };
}

export function applyBacklog(state: Backlog, event: BacklogEvent): Backlog {
  switch (event.kind) {
    case 'written': {
      const { writes, dirtyBytes, nowUs } = event;
      const overUs = nowUs - state.writtenAtUs;
      if (overUs <= 0) return { ...state, writes, dirtyBytes };
      const writesPerSecond = smoothed(state.writesPerSecond, ((writes - state.writes) * 1e6) / overUs, overUs);
      return lookWithin({ ...state, writes, dirtyBytes, writtenAtUs: nowUs, writesPerSecond }, nowUs);
    }
    case 'sealed': {
      const ownWrites = event.writes - state.sealedWrites;
      return {
        ...state,
        round: event.round,
        roundBytes: null,
        roundGrowth: null,
        roundWrites: ownWrites + state.roundWrites * restOf(state),
        ownWrites,
        sealedWrites: event.writes,
        roundDirtyBytes: event.dirtyBytes,
        dirtyBytes: 0,
      };
    }
    case 'missing':
      if (event.round !== state.round) return state;
      return state.roundBytes === null
        ? firstWord(state, event.missingBytes, event.nowUs)
        : laterWord(state, event.missingBytes, event.nowUs);
  }
}

export function observe(state: Backlog): ThrottleObservation {
  const { growth, atBorder, roundGrowth, looks, round, writesPerSecond, dirtyBytes, widening } = state;
  const writesSince = state.writes - state.sealedWrites;
  // Of two rounds, because one that has just begun says little.
  const writes = writesSince + state.ownWrites;
  return {
    ...{ growth, atBorder, roundGrowth, looks, round, writesPerSecond },
    pendingWrites: writesSince + state.roundWrites * restOf(state),
    waitingBytes: waitingOf(state),
    drainBytesPerSecond: state.drainBytesPerSecond ?? 0,
    bytesPerWrite: writes > 0 ? ((dirtyBytes + state.roundDirtyBytes) * widening) / writes : 0,
  };
}

/** True when the destination has all of the last round. */
export function isDrained({ roundBytes, missingBytes }: Backlog): boolean {
  return roundBytes !== null && missingBytes === 0;
}

function firstWord(state: Backlog, missingBytes: number, nowUs: number): Backlog {
  const before = state.missingBytes;
  // The first round is the disk, not what was written; and what was missing already was written again, or not.
  const measures = state.round > 1 && before === 0 && state.roundDirtyBytes > 0;
  const widening = measures ? missingBytes / state.roundDirtyBytes : state.widening;
  const roundDrainedFrom = before === 0 ? state.drainedBytes : null;
  const next = { ...state, roundBytes: missingBytes, missingBytes, missingAtUs: nowUs, widening, roundDrainedFrom };
  if (state.round < 2) return next;
  if (before === 0 || state.mark === null) return marked(next, nowUs);
  return nowUs - state.mark.atUs >= TELLING_US ? look(next, nowUs, true) : next;
}

/** A round only gets smaller: more than before is said by a destination that looks at the next one already. */
function laterWord(state: Backlog, saidBytes: number, nowUs: number): Backlog {
  const overUs = nowUs - state.missingAtUs;
  const missingBytes = Math.min(saidBytes, state.missingBytes);
  const sent = state.missingBytes - missingBytes;
  const next = { ...state, missingBytes, missingAtUs: nowUs, drainedBytes: state.drainedBytes + sent };
  if (state.missingBytes === 0 || overUs <= 0) return next;
  const rate = (sent * 1e6) / overUs;
  const before = state.drainBytesPerSecond;
  const drainBytesPerSecond = before === null ? rate : smoothed(before, rate, overUs);
  const drained = { ...next, drainBytesPerSecond };
  return missingBytes === 0 ? look(whole(drained), nowUs, true) : lookWithin(drained, nowUs);
}

/** A guest that has written all that it writes by the middle of a round adds nothing in the rest of it: only the round as a whole says what the next sends. */
function whole(state: Backlog): Backlog {
  const { round, roundDrainedFrom, drainedBytes } = state;
  if (round < 2 || roundDrainedFrom === null) return state;
  return { ...state, roundGrowth: waitingOf(state) / Math.max(1, drainedBytes - roundDrainedFrom) };
}

/** In the middle of a long round. */
function lookWithin(state: Backlog, nowUs: number): Backlog {
  const { mark, round, roundBytes } = state;
  if (mark === null || mark.round !== round || roundBytes === null || isDrained(state)) return state;
  return nowUs - mark.atUs >= TELLING_US ? look(state, nowUs, false) : state;
}

function look(state: Backlog, nowUs: number, atBorder: boolean): Backlog {
  const { mark } = state;
  if (state.round < 2 || mark === null) return state;
  const sent = state.drainedBytes - mark.drainedBytes;
  if (sent <= 0) return state;
  const growth = Math.max(0, waitingOf(state) - mark.waitingBytes + sent) / sent;
  return marked({ ...state, growth, atBorder, looks: state.looks + 1 }, nowUs);
}

function marked(state: Backlog, nowUs: number): Backlog {
  const { round, drainedBytes } = state;
  return { ...state, mark: { round, waitingBytes: waitingOf(state), drainedBytes, atUs: nowUs } };
}

/** Until the destination has looked at a round, all of it waits. */
function waitingOf({ roundBytes, missingBytes, roundDirtyBytes, dirtyBytes, widening }: Backlog): number {
  return missingBytes + (dirtyBytes + (roundBytes === null ? roundDirtyBytes : 0)) * widening;
}

/** The part of the round that is not there. */
function restOf({ roundBytes, missingBytes }: Backlog): number {
  if (roundBytes === null) return 1;
  return roundBytes === 0 ? 0 : Math.min(1, missingBytes / roundBytes);
}

function smoothed(before: number, sample: number, overUs: number): number {
  return sample + (before - sample) * Math.exp(-overUs / SMOOTHING_US);
}
