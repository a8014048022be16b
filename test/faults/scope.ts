/**
 * What one run of the matrix started, ended again in the opposite order whatever happened.
 *
 * Stands in for ava's context, of which the helpers of test/e2e use the teardown, the log and whether the test passed.
 */
import type { ExecutionContext } from 'ava';

const open = new Set<Scope>();

/** Closes whatever is open, the latest first: a command that is interrupted leaves nothing. */
export async function closeAll(): Promise<void> {
  for (const scope of [...open].reverse()) await scope.close();
}

export class Scope {
  readonly #teardowns: (() => unknown)[] = [];
  /** What helpers had to say about a run that failed. */
  readonly lines: string[] = [];
  passed = true;

  constructor() {
    open.add(this);
  }

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
    open.delete(this);
    for (let undo = this.#teardowns.pop(); undo !== undefined; undo = this.#teardowns.pop()) {
      try {
        await undo();
      } catch (error) {
        this.log(`teardown: ${String(error)}`);
      }
    }
  }
}
