/**
 * @module scheduler
 * Which chunk is asked of which peer, when, and how many bytes may be on their way: one pure state machine per host (design D10).
 *
 * Events go in, effects come out; no clock, no socket, no polling. The runner beside it sends the requests, verifies the
 * bytes, keeps the one timer, and answers `whoHas` from what peers claimed.
 *
 * ```ts
 * const scheduler = new Scheduler({ whoHas: (want) => holdersOf(want), random });
 * scheduler.apply({ type: 'peerUp', peer }, nowUs);
 * for (const effect of scheduler.apply({ type: 'want', want }, nowUs)) perform(effect);
 * ```
 */

export { SCHEDULER_LIMITS } from './limits.ts';
export type {
  Effect,
  Holder,
  Lane,
  PeerSnapshot,
  SchedulerEvent,
  SchedulerSnapshot,
  Want,
  WantFeed,
} from './messages.ts';
export { Scheduler, type SchedulerOptions } from './scheduler.ts';
export { UPLOAD_PACE, UploadPace } from './upload-pace.ts';
