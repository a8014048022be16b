/**
 * What one run of the matrix started, ended again in the opposite order whatever happened.
 *
 * Stands in for ava's context, of which the helpers of test/e2e use the teardown, the log and whether the test passed.
 */
import type { ExecutionContext } from 'ava';

export class Scope {
  readonly #teardowns: (() => unknown)[] = [];
  /** What helpers had to say about a run that failed. */
  readonly lines: string[] = [];
  passed = true;

  /** As the helpers want it. */
  get context(): ExecutionContext {
    return this as unknown as ExecutionContext;
  }

  teardown(undo: () => unknown): void {
    this.#teardowns.push(undo);
  }

  log(...words: unknown[]): void {
    this.lines.push(words.map(String).join(' '));
  }

  /** Undoes everything, the latest first; one that fails does not keep the others. */
  async close(): Promise<void> {
    for (let undo = this.#teardowns.pop(); undo !== undefined; undo = this.#teardowns.pop()) {
      try {
        await undo();
      } catch (error) {
        this.log(`teardown: ${String(error)}`);
      }
    }
  }
}
