/** How long the runs that are left will take, from how long those before took; a run of the same system and link counts most. */
import type { PlannedRun } from '../experiment/plan.ts';
import { median } from '../statistics.ts';

export class TimeLeft {
  /** What was left at the beginning. */
  readonly runs: readonly PlannedRun[];
  readonly #tookMs = new Map<string, number[]>();
  readonly #all: number[] = [];
  #done = 0;

  constructor(runs: readonly PlannedRun[]) {
    this.runs = runs;
  }

  finished(run: PlannedRun, tookMs: number): void {
    this.#done++;
    this.#all.push(tookMs);
    this.#tookMs.set(keyOf(run), [...(this.#tookMs.get(keyOf(run)) ?? []), tookMs]);
  }

  /** Milliseconds; null before the first run ended. */
  leftMs(): number | null {
    if (this.#all.length === 0) return null;
    return this.runs.slice(this.#done).reduce((sum, run) => sum + median(this.#tookMs.get(keyOf(run)) ?? this.#all), 0);
  }

  /** `, about 12 min left`, or nothing while that is unknown. */
  text(): string {
    const leftMs = this.leftMs();
    if (leftMs === null) return '';
    const seconds = Math.round(leftMs / 1000);
    return seconds < 90 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
  }
}

function keyOf({ system, link }: PlannedRun): string {
  return `${system} ${link.name}`;
}
