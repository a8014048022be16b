/**
 * A scripted life of a store, stopped at every change of the disk by the death of the process or of the machine.
 *
 * Held afterwards: what a sync covered is there, what is there reads back right, nothing is reported as damaged that only was
 * never durable, and the packs alone tell the same as checkpoint and packs.
 */
import type { DiskId, Storage } from '@diskswarm/core';
import { createSimulation, type SimHost, type Simulation } from '@diskswarm/sim';
import test from 'ava';
import type { PackStore } from '../src/index.ts';
import {
  admissionsOf,
  CHECKPOINT,
  type Chunk,
  chunk,
  DISK_A,
  DISK_B,
  DISK_C,
  openStore,
  readAll,
} from './support/fixture.ts';

const ALL: readonly Chunk[] = Array.from({ length: 40 }, (_, number) => chunk(number, 700 + number * 30));
const DISKS: readonly DiskId[] = [DISK_A, DISK_B, DISK_C];

/** For each chunk and disk: what the last sync made certain, and what may be found besides. */
class Expectation {
  readonly #possible = new Map<string, Set<boolean>>();
  readonly #now = new Map<string, boolean>();

  set(number: number, disk: DiskId, value: boolean): void {
    const name = `${number} ${disk}`;
    this.#possible.set(name, (this.#possible.get(name) ?? new Set([false])).add(value));
    this.#now.set(name, value);
  }

  get(number: number, disk: DiskId): boolean {
    return this.#now.get(`${number} ${disk}`) ?? false;
  }

  /** What was certain when `sync` was called is certain when it is done; what changed meanwhile may be either. */
  snapshot(): () => void {
    const then = new Map(this.#now);
    return () => {
      for (const [name, value] of then) this.#possible.set(name, new Set([value, this.#now.get(name)!]));
    };
  }

  /** Null, or what is wrong with `store`. */
  check(store: PackStore): string | null {
    for (const number of ALL.keys()) {
      for (const disk of DISKS) {
        const found = store.has(ALL[number]!.id, disk);
        const possible = this.#possible.get(`${number} ${disk}`) ?? new Set([false]);
        if (!possible.has(found)) return `chunk ${number} of ${disk.slice(0, 2)} is ${found ? '' : 'not '}here`;
      }
    }
    return null;
  }
}

/** One process: opens the store and does things to it in an order that depends on `below` alone. */
async function live(storage: Storage, below: (limit: number) => number, expected: Expectation): Promise<void> {
  const store = await openStore(storage);
  const first = below(DISKS.length);
  for (let step = 0; step < 14; step++) {
    const disk = DISKS[(first + below(2)) % DISKS.length]!;
    const choice = below(12);
    if (choice < 5) {
      const start = below(ALL.length - 8);
      const numbers = Array.from({ length: 1 + below(8) }, (_, index) => start + index);
      for (const number of numbers) expected.set(number, disk, true);
      await store.putMany(
        numbers.map((number) => ALL[number]!),
        disk,
      );
    } else if (choice < 6) {
      const number = below(ALL.length);
      if (store.admit(ALL[number]!.id, disk)) expected.set(number, disk, true);
    } else if (choice < 9) {
      const settled = expected.snapshot();
      await store.sync();
      settled();
    } else if (choice < 10) {
      const kept = new Set(Array.from({ length: below(10) }, () => below(ALL.length)));
      for (const number of ALL.keys())
        if (!kept.has(number) && expected.get(number, disk)) expected.set(number, disk, false);
      await store.remove(
        disk,
        [...kept].map((number) => ALL[number]!.id),
      );
    } else if (choice < 11) {
      await store.reclaim();
    } else {
      await store.checkpoint();
    }
  }
  const settled = expected.snapshot();
  await store.close();
  settled();
}

/** Resolves when `work` is done or its process was killed. */
async function orKilled(simulation: Simulation, host: SimHost, work: () => Promise<void>): Promise<'done' | 'killed'> {
  let done = false;
  let failure: unknown = null;
  const before = host.incarnation;
  work().then(
    () => {
      done = true;
    },
    (error: unknown) => {
      failure = error;
    },
  );
  while (!done && host.incarnation === before) {
    if (failure !== null) throw failure;
    await new Promise<void>((resolve) => simulation.clock.setTimer(1, resolve));
  }
  return done ? 'done' : 'killed';
}

async function stopAt(seed: number, change: number, how: 'crash' | 'power cut'): Promise<'done' | 'killed'> {
  const simulation = createSimulation(`${seed}-${change}`);
  const host = simulation.host('home');
  return simulation.run(async () => {
    const expected = new Expectation();
    const rolls = dice(seed);
    host.disk.stopAfter(change, how);
    const outcome = await orKilled(simulation, host, () => live(host.storage, rolls, expected));
    host.disk.heal();
    const store = await openStore(host.storage);
    const wrong = expected.check(store);
    if (wrong !== null) throw new Error(wrong);
    await readAll(store, ALL);
    const found = admissionsOf(store, ALL);
    // The next process finds the same, and so does one that has only the packs.
    if (change % 2 === 0) await store.close();
    else host.powerCut();
    if (change % 3 !== 0) await host.storage.remove(CHECKPOINT);
    const again = await openStore(host.storage);
    if (admissionsOf(again, ALL).join() !== found.join()) throw new Error('the next start finds something else');
    await readAll(again, ALL);
    // And life goes on.
    await again.putMany(ALL, DISK_A);
    await again.reclaim();
    if ((await readAll(again, ALL)) !== ALL.length) throw new Error('not all there');
    await again.close();
    return outcome;
  });
}

function dice(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const everyChange = test.macro({
  exec: async (t, how: 'crash' | 'power cut', seeds: readonly number[]) => {
    let stops = 0;
    for (const seed of seeds) {
      for (let change = 0; ; change++) {
        const outcome = await stopAt(seed, change, how).catch((error: unknown) => {
          throw new Error(`seed ${seed}, change ${change}: ${(error as Error).message}`, { cause: error });
        });
        if (outcome === 'done') break;
        stops++;
      }
    }
    t.true(stops > 30 * seeds.length, `${stops} stops`);
  },
  title: (_, how) => `a ${how} at every change`,
});

test(everyChange, 'power cut', [1, 2, 3, 4, 5, 6]);
test(everyChange, 'crash', [11, 12, 13]);
