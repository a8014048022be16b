/**
 * @module ownership
 * Who may write a disk, how that moves from host to host, and what may be forgotten: pure state machines over signed records.
 *
 * `applySource` and `applyDestination` are the two sides of a hand-over, `standingOf` what a host may do, `safeToSwitchOff` what
 * it may leave. They do no I/O: the host agent runs the effects, in order, each `persist` durable before what follows it.
 *
 * @example
 * const { state, effects } = applySource(source, { kind: 'start', to }, context);
 */
export * from './destination.ts';
export * from './machine.ts';
export * from './message.ts';
export * from './safety.ts';
export * from './source.ts';
export * from './source-state.ts';
export * from './standing.ts';
