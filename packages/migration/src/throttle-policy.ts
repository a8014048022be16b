/**
 * How much a guest's writes are slowed while a migration's rounds do not shrink. Pure; the delays are kept elsewhere.
 *
 * `bradford` (Bradford et al., VEE 2007): from 16,384 writes that wait on, or from a whole round that did not shrink, each write is delayed by 2,048 µs;
 * both double. `adaptive`: the delay that lets what waits drain in a target time, from the measured rates. Both begin only when what is written outruns
 * what is sent, so that a guest slower than the link is left alone; both are bounded, so that a guest slows and never stops.
 */
import { STILL_SHRINKING } from './round-policy.ts';
import type { ThrottleObservation } from './throttle-backlog.ts';

export type ThrottlePolicy = 'bradford' | 'adaptive' | 'off';

/** Delay of one write, in microseconds. */
export const MAX_WRITE_DELAY_US = 250_000;

const BRADFORD_WRITES = 16_384;
const BRADFORD_DELAY_US = 2_048;
/** What waits is to drain within so long ... */
const TARGET_SECONDS = 10;
/** ... or else the guest gets this part of what drains; never more than the other part, and so rounds shrink. */
const LEAST_PART = 0.1;
const MOST_PART = 0.5;
/** What drains in so long is no reason to slow anybody. */
const IDLE_SECONDS = 2;
/** Where an adaptive delay begins and ends; from step to step it changes by a factor of 2 at most. */
const LEAST_DELAY_US = 128;
/** A guest whose writes spend less than this part of the time delayed would not write much more without. */
const PRESSING = 0.1;
/** A rise by so much counts as one: its effect on the rounds is worth waiting for. */
const NOTABLE = 1.5;

export interface Throttle {
  readonly policy: ThrottlePolicy;
  /** Of each write, in microseconds; 0 for none. */
  readonly delayUs: number;
  /** The round during which the delay rose last; null before it began. Rounds after the next one show what it did. */
  readonly raisedInRound: number | null;
  /** The delay that the last rise led to. */
  readonly raisedToUs: number;
  /** Looks at what grows so far, and the one from which on it is this delay that they show. */
  readonly looks: number;
  readonly tellingLook: number;
}

/** No delay yet. */
export function initialThrottle(policy: ThrottlePolicy): Throttle {
  return { policy, delayUs: 0, raisedInRound: null, raisedToUs: 0, looks: 0, tellingLook: 0 };
}

/** The throttle after one more observation: a few times a second while a round is on its way, and once when it is whole. */
export function adjustThrottle(throttle: Throttle, observation: ThrottleObservation): Throttle {
  const { policy, raisedToUs } = throttle;
  const { looks, round } = observation;
  if (policy === 'off') return throttle;
  const delayUs = policy === 'bradford' ? doubled(throttle, observation) : adapted(throttle, observation);
  const next = { ...throttle, delayUs, looks };
  if (delayUs <= throttle.delayUs) return next;
  // What is measured now was measured before; what began to be measured before this delay says little of it.
  const risen = { ...next, tellingLook: looks === throttle.looks ? looks + 2 : looks + 1 };
  return delayUs > raisedToUs * NOTABLE ? { ...risen, raisedInRound: round, raisedToUs: delayUs } : risen;
}

/** Never falls: the guest would be back at what made it rise. */
function doubled(throttle: Throttle, observation: ThrottleObservation): number {
  const { delayUs, looks, tellingLook } = throttle;
  const { pendingWrites, atBorder } = observation;
  if (!outruns(throttle, observation)) return delayUs;
  const next = delayUs === 0 ? BRADFORD_DELAY_US : delayUs * 2;
  const many = pendingWrites >= (BRADFORD_WRITES * next) / BRADFORD_DELAY_US;
  // A whole look under this delay, and no less waits: writes that touch the same place again are not pending twice. Without a delay a whole round says so,
  // after which rounds would end, and what waits would be in the pause.
  const isNew = observation.looks !== looks && observation.looks >= tellingLook;
  const inVain = isNew && (delayUs > 0 || atBorder);
  return many || inVain ? Math.min(MAX_WRITE_DELAY_US, next) : delayUs;
}

function adapted(throttle: Throttle, observation: ThrottleObservation): number {
  const { delayUs } = throttle;
  const { drainBytesPerSecond, bytesPerWrite, writesPerSecond } = observation;
  if (drainBytesPerSecond <= 0 && delayUs === 0) return 0;
  const seconds = drainSeconds(observation);
  if (delayUs === 0 && !outruns(throttle, observation)) return 0;
  const pressing = (writesPerSecond * delayUs) / 1e6 >= PRESSING;
  if (seconds <= IDLE_SECONDS && delayUs > 0 && !pressing) return delayUs / 2 < LEAST_DELAY_US ? 0 : delayUs / 2;
  if (bytesPerWrite <= 0) return delayUs;
  const part = Math.min(MOST_PART, Math.max(LEAST_PART, 1 - seconds / TARGET_SECONDS));
  const wantedUs = (bytesPerWrite * 1e6) / (part * Math.max(1, drainBytesPerSecond));
  const mostUs = Math.max(LEAST_DELAY_US, delayUs * 2);
  return Math.min(MAX_WRITE_DELAY_US, mostUs, Math.max(wantedUs, delayUs / 2, LEAST_DELAY_US));
}

function drainSeconds({ waitingBytes, drainBytesPerSecond }: ThrottleObservation): number {
  return waitingBytes / Math.max(1, drainBytesPerSecond);
}

/**
 * Rounds are outrun when the next one is not clearly smaller; within one, where blocks may count twice, when more and more waits. A guest that writes the
 * same few blocks all the time outruns nobody. A round that was whole under this delay is judged as a whole, as rounds themselves are: a guest that had
 * written all that it writes by the middle of it adds nothing after that.
 */
function outruns({ raisedInRound }: Throttle, observation: ThrottleObservation): boolean {
  const { atBorder, round, roundGrowth } = observation;
  if (drainSeconds(observation) <= IDLE_SECONDS) return false;
  const whole = atBorder && (raisedInRound === null || round > raisedInRound) ? roundGrowth : null;
  const growth = whole ?? observation.growth;
  return growth !== null && growth > (atBorder ? STILL_SHRINKING : 1);
}
