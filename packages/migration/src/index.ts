/**
 * Live migration of a machine and its disks: the state machines of both hosts, what they say to each other, when rounds end, and when a guest is slowed. Pure.
 *
 * Knows no QEMU, disk or connection: the host agent carries the effects out and reports what came of them. What makes a hand-over safe is the
 * ownership package's; here is only when it may begin, and who runs the guest meanwhile (docs/adr/0008-live-migration.md).
 */
export * from './destination.ts';
export {
  type BytesToSend,
  type Forecast,
  forecastMigration,
  type MoveObservation,
} from './forecast.ts';
export * from './message.ts';
export * from './round-policy.ts';
export * from './source.ts';
export type { FaultCounts, SourceBytes, Statistics } from './statistics.ts';
export * from './throttle-backlog.ts';
export * from './throttle-policy.ts';
