/**
 * The loop: one event at a time. All promise work is drained, then the earliest event moves the clock and runs.
 *
 * Nothing else moves the clock, so a run depends on its seed alone. Code under simulation may not wait for the real
 * world (threads, real files): it would be overtaken.
 */
import { type Clock, messageOf } from '@diskswarm/core';
import { EventLog } from './event-log.ts';
import { EventQueue } from './event-queue.ts';
import { turnOfTheLoop } from './globals.ts';
import { SimHost } from './host.ts';
import { SimNetwork } from './network/network.ts';
import { ProcessGone, SimProcess } from './process.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimDisk } from './storage/disk.ts';

/** Wall clock at the start of every simulation: 2026-01-01T00:00:00Z. */
const WALL_START_MS = 1_767_225_600_000;

/** When a run is given up. */
export interface RunLimits {
  /** @default 1_000_000 */
  readonly maxEvents?: number;
  /** Simulated time from the start of the run. @default 1 hour */
  readonly maxSimulatedMs?: number;
}

/** A run that failed, stalled or went on too long. `cause` is what the scenario threw; the message names the seed. */
export class SimulationFailure extends Error {
  readonly seed: string;
  /** The last events before the failure. */
  readonly trace: readonly string[];

  constructor(seed: string, why: string, trace: readonly string[], cause?: unknown) {
    super(`seed ${seed}: ${why} (repeat with: pnpm sim --seed ${seed})`, cause === undefined ? undefined : { cause });
    this.name = 'SimulationFailure';
    this.seed = seed;
    this.trace = trace;
  }
}

/** A fresh simulation. `onEvent` is given each line of the trace as it happens. */
export function createSimulation(
  seed: number | string,
  { onEvent }: { onEvent?: (line: string) => void } = {},
): Simulation {
  return new Simulation(String(seed), onEvent);
}

export class Simulation {
  readonly seed: string;
  /** The scenario's own random stream. */
  readonly random: SeededRandom;
  /** The scenario's own clock: belongs to no machine, so it outlives all of them. */
  readonly clock: Clock;
  readonly network: SimNetwork;
  readonly #queue = new EventQueue();
  readonly #log: EventLog;
  readonly #hosts = new Map<string, SimHost>();
  #nowUs = 0;

  constructor(seed: string, onEvent: ((line: string) => void) | undefined) {
    this.seed = seed;
    this.#log = new EventLog(onEvent);
    const scenario = this.#process('scenario');
    this.random = scenario.random;
    this.clock = scenario.clock;
    this.network = new SimNetwork(this.#process('network'));
  }

  /** The machine of that name, made when first asked for. */
  host(name: string): SimHost {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const machine = this.#process(`${name}.disk`);
    this.network.addHost(name);
    const host = new SimHost({
      name,
      disk: new SimDisk(machine.random),
      network: this.network,
      nextProcess: (incarnation) => this.#process(`${name}.${incarnation}`),
      note: (text) => this.note(text),
    });
    this.#hosts.set(name, host);
    return host;
  }

  /** A line of the scenario's own in the trace. */
  note(text: string): void {
    this.#log.add(this.#nowUs, text);
  }

  /** Hash of all events so far: equal for equal seeds. */
  get eventHash(): string {
    return this.#log.hash;
  }

  /** Events and notes so far. */
  get eventCount(): number {
    return this.#log.count;
  }

  /** The last events, oldest first. */
  get trace(): readonly string[] {
    return this.#log.lines;
  }

  /** Runs events until the scenario settles; rejects with SimulationFailure when it throws, stalls or exceeds a limit. */
  async run<Result>(
    scenario: () => Promise<Result>,
    { maxEvents = 1_000_000, maxSimulatedMs = 3_600_000 }: RunLimits = {},
  ): Promise<Result> {
    const end = { events: this.#log.count + maxEvents, timeUs: this.#nowUs + maxSimulatedMs * 1000 };
    let outcome: { readonly value: Result } | { readonly error: unknown } | undefined;
    scenario().then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    for (;;) {
      await turnOfTheLoop();
      if (outcome !== undefined) break;
      const next = this.#queue.peek();
      if (next === undefined) throw this.#failure('nothing is left to happen and the scenario has not ended');
      if (next.timeUs > end.timeUs) throw this.#failure(`still running after ${maxSimulatedMs} simulated ms`);
      if (this.#log.count >= end.events) throw this.#failure(`still running after ${maxEvents} events`);
      this.#step();
    }
    if ('error' in outcome) throw this.#failure(messageOf(outcome.error), outcome.error);
    return outcome.value;
  }

  /** Runs what happens in the next `durationMs`, and ends exactly then. */
  async runFor(durationMs: number): Promise<void> {
    const endUs = this.#nowUs + durationMs * 1000;
    for (;;) {
      await turnOfTheLoop();
      const next = this.#queue.peek();
      if (next === undefined || next.timeUs > endUs) break;
      this.#step();
    }
    this.#nowUs = endUs;
  }

  #step(): void {
    const event = this.#queue.pop()!;
    this.#nowUs = event.timeUs;
    this.#log.add(event.timeUs, event.label);
    try {
      event.run();
    } catch (error) {
      if (!(error instanceof ProcessGone)) throw this.#failure(messageOf(error), error);
    }
  }

  #failure(why: string, cause?: unknown): SimulationFailure {
    return cause instanceof SimulationFailure ? cause : new SimulationFailure(this.seed, why, this.trace, cause);
  }

  #process(name: string): SimProcess {
    const clock = { nowUs: () => this.#nowUs, wallMs: () => WALL_START_MS + Math.floor(this.#nowUs / 1000) };
    return new SimProcess(name, new SeededRandom(`${this.seed}/${name}`), clock, (delayUs, label, run, wanted) => {
      if (!(delayUs >= 0)) throw new RangeError(`${label} in ${delayUs} us`);
      this.#queue.push({ timeUs: this.#nowUs + Math.ceil(delayUs), label, run, wanted });
    });
  }
}
