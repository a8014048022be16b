/**
 * The one place of the simulation that touches real time: a turn of the real event loop, which drains all promise work,
 * and the swap of JavaScript's own timers, dates and randomness for simulated ones, for third-party code that uses them.
 *
 * What code took from these globals before the swap stays real: import such packages inside `run`, in a process of its own.
 */
import type { Clock, Random } from '@diskswarm/core';

const realSetImmediate = globalThis.setImmediate;
const RealDate = globalThis.Date;

/** Resolves after every promise and tick callback that is ready now, and all that these make ready, has run. */
export function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve));
}

/** Runs `run` with `setTimeout` and its kin, `Date`, `performance.now`, `Math.random` and `crypto.getRandomValues` taken from the simulation. */
export async function withSimulatedGlobals<Result>(
  world: { readonly clock: Clock; readonly random: Random },
  run: () => Promise<Result>,
): Promise<Result> {
  const restore = [
    swap(globalThis, { ...simulatedTimers(world.clock), Date: simulatedDate(world.clock) }),
    swap(performance, { now: () => world.clock.nowUs() / 1000 }),
    swap(Math, { random: () => world.random.below(2 ** 32) / 2 ** 32 }),
    swap(crypto, { getRandomValues: <View extends ArrayBufferView>(view: View): View => fill(view, world.random) }),
  ];
  try {
    return await run();
  } finally {
    for (const undo of restore) undo();
  }
}

/** What `setTimeout` returns: enough of Node's Timeout for code that holds one. */
class SimulatedTimeout {
  readonly #arm: (fire: () => void) => { cancel(): void };
  readonly #run: () => void;
  readonly #repeats: boolean;
  #pending: { cancel(): void } | undefined;

  constructor(run: () => void, repeats: boolean, arm: (fire: () => void) => { cancel(): void }) {
    this.#run = run;
    this.#repeats = repeats;
    this.#arm = arm;
    this.refresh();
  }

  refresh(): this {
    this.close();
    this.#pending = this.#arm(() => {
      this.#pending = undefined;
      if (this.#repeats) this.refresh();
      this.#run();
    });
    return this;
  }

  close(): this {
    this.#pending?.cancel();
    this.#pending = undefined;
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

function simulatedTimers(clock: Clock): Record<string, unknown> {
  const start =
    (repeats: boolean, fixedMs?: number) =>
    (callback: (...values: unknown[]) => void, ...rest: unknown[]): SimulatedTimeout => {
      const delayMs = fixedMs ?? Math.max(1, Number(rest[0]) || 1);
      const values = fixedMs === undefined ? rest.slice(1) : rest;
      return new SimulatedTimeout(
        () => callback(...values),
        repeats,
        (fire) => clock.setTimer(delayMs, fire),
      );
    };
  const stop = (timer: unknown): void => {
    if (timer instanceof SimulatedTimeout) timer.close();
  };
  return {
    setTimeout: start(false),
    setInterval: start(true),
    setImmediate: start(false, 0),
    clearTimeout: stop,
    clearInterval: stop,
    clearImmediate: stop,
  };
}

function simulatedDate(clock: Clock): DateConstructor {
  return new Proxy(RealDate, {
    construct: (target, values, newTarget) =>
      Reflect.construct(target, values.length === 0 ? [clock.wallMs()] : values, newTarget) as object,
    apply: () => new RealDate(clock.wallMs()).toString(),
    get: (target, key) => (key === 'now' ? () => clock.wallMs() : Reflect.get(target, key)),
  });
}

function fill<View extends ArrayBufferView>(view: View, random: Random): View {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(random.bytes(view.byteLength));
  return view;
}

/** Replaces properties; the result puts back what was there before. */
function swap(target: object, values: Record<string, unknown>): () => void {
  const before = Object.keys(values).map((key) => [key, Object.getOwnPropertyDescriptor(target, key)] as const);
  for (const [key, value] of Object.entries(values))
    Object.defineProperty(target, key, { value, configurable: true, writable: true });
  return () => {
    for (const [key, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(target, key);
      else Object.defineProperty(target, key, descriptor);
    }
  };
}
