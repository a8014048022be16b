/**
 * What both ends of a migration share: feeding a pure machine, carrying out effects whose results are events, and telling how far it is.
 *
 * Events are applied at once, in the order they come; effects that take time run beside, so that a cancel is never behind a seal. What fails unexpectedly
 * is an event too.
 */
import { DiskswarmError, type HostId, messageOf } from '@diskswarm/core';
import type { Swarm } from '@diskswarm/swarm';
import { ChangeSignal } from '../agent/change-signal.ts';
import type { Log } from '../agent/environment.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';

export abstract class Runner<State, Event, Effect> {
  readonly changed = new ChangeSignal();
  protected readonly log: Log;
  /** Ends what waits for this migration. */
  protected readonly over = new AbortController();
  /** The session with the other host may be replaced by a better one again. Idempotent. */
  protected freeWay: () => void = () => {};
  #state: State;
  #halted = false;
  readonly #apply: (state: State, event: Event) => { readonly state: State; readonly effects: readonly Effect[] };

  constructor(
    initial: State,
    apply: (state: State, event: Event) => { readonly state: State; readonly effects: readonly Effect[] },
    log: Log,
  ) {
    this.#state = initial;
    this.#apply = apply;
    this.log = log;
  }

  get state(): State {
    return this.#state;
  }

  /** The agent ends: nothing follows any more, as if it had died. The next one puts in order what is under way. */
  halt(): void {
    this.#halted = true;
  }

  /** Applies an event and starts its effects. */
  protected feed(event: Event): void {
    if (this.#halted) return;
    const step = this.#apply(this.#state, event);
    this.#state = step.state;
    this.run(step.effects);
    this.changed.fire();
  }

  /** Starts effects in order. */
  protected run(effects: readonly Effect[]): void {
    for (const effect of effects) this.perform(effect);
  }

  /** Tells when the session with the other host is lost; until `freeWay` or the end no better one takes its place, because what is under way would end with it. */
  protected stayWith(other: HostId, disk: ManagedDisk, swarm: Swarm, onLost: (message: string) => void): void {
    this.freeWay = swarm.keepWay(other);
    this.over.signal.addEventListener('abort', () => this.freeWay(), { once: true });
    const watch = async (): Promise<void> => {
      await disk.changed.until(() => disk.peers.link(other) === undefined, { signal: this.over.signal });
      onLost(`the connection to host ${other} was lost`);
    };
    watch().catch(() => {}); // Over.
  }

  protected abstract perform(effect: Effect): void;
  protected abstract failed(error: DiskswarmError): void;

  /** Runs work whose failure fails the migration, unless it is over by then. */
  protected work(work: () => Promise<unknown>): void {
    work().catch((error: unknown) => {
      if (this.over.signal.aborted) return;
      this.failed(
        error instanceof DiskswarmError
          ? error
          : new DiskswarmError('INTERNAL', `a defect in a migration: ${messageOf(error)}`, { cause: error }),
      );
    });
  }
}
