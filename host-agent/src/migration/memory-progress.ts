/**
 * How QEMU's copy of the memory is getting on, asked for once a second while it goes on, also while post-copy follows.
 *
 * Inside the pause QEMU is not asked: its monitor is for what the guest waits for then.
 */
import { type Clock, sleep } from '@diskswarm/core';
import type { SourceState } from '@diskswarm/migration';
import type { QmpClient, QueryMigrate } from '@diskswarm/qmp';

/** What is shown of the memory while it moves. */
export interface MemoryState {
  readonly totalBytes: number;
  /** Of this pass. */
  readonly remainingBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** Passes over the memory that were begun. */
  readonly passes: number;
  /** How much QEMU slows the guest's processors (auto-converge), per cent. */
  readonly throttlePercent: number;
  /** Pages that the guest at the destination asked for: post-copy's faults. */
  readonly pagesAsked: number;
}

const ASK_EVERY_MS = 1_000;

/** True while memory is being sent and the guest runs on one side. */
export function memoryMoves({ phase, memoryCompleted }: Pick<SourceState, 'phase' | 'memoryCompleted'>): boolean {
  return phase === 'memory' || (phase === 'post' && !memoryCompleted);
}

export class MemoryProgress {
  #state: MemoryState | null = null;
  #mostThrottled = 0;

  /** The last answer; null before the first. */
  get state(): MemoryState | null {
    return this.#state;
  }

  /** The highest `throttlePercent` so far. */
  get mostThrottledPercent(): number {
    return this.#mostThrottled;
  }

  /** Asks until the memory is through, and tells `changed` of each answer; ends without a word when QEMU does not answer. */
  async follow(
    qmp: Pick<QmpClient, 'execute'>,
    options: { clock: Clock; signal: AbortSignal; state: () => SourceState; changed: () => void },
  ): Promise<void> {
    const { clock, signal, state, changed } = options;
    try {
      while (!state().memoryCompleted) {
        if (memoryMoves(state())) {
          this.#take(await qmp.execute('query-migrate', {}, { signal }));
          changed();
        }
        await sleep(clock, ASK_EVERY_MS, { signal });
      }
    } catch {
      // What ended QEMU, or the migration, is told elsewhere.
    }
  }

  #take({ ram, 'cpu-throttle-percentage': throttlePercent = 0 }: QueryMigrate): void {
    if (ram === undefined) return;
    this.#mostThrottled = Math.max(this.#mostThrottled, throttlePercent);
    this.#state = {
      totalBytes: ram.total,
      remainingBytes: ram.remaining,
      dirtyBytesPerSecond: ram['dirty-pages-rate'] * ram['page-size'],
      passes: ram['dirty-sync-count'],
      throttlePercent,
      pagesAsked: ram['postcopy-requests'] ?? 0,
    };
  }
}
