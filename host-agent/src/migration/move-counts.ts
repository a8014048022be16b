/**
 * How many moves of machines run and how those that ended went, since the agent started: for monitors.
 *
 * A move counts as ended when everything that follows from its end is done.
 */

/** From this host, or to it. */
export type MoveDirection = 'out' | 'in';

/** How a move can end, as the state machines name it. */
export const MOVE_RESULTS: Readonly<Record<MoveDirection, readonly string[]>> = {
  out: ['done', 'cancelled', 'failed', 'refused', 'lost'],
  in: ['done', 'discarded', 'stopped'],
};

interface Move {
  readonly settled: Promise<void>;
  readonly state: { readonly outcome: { readonly result: string } | null };
}

/** One that leaves. */
interface LeavingMove extends Move {
  readonly memoryBytes: number;
  readonly traffic: { diskBytes(): number };
}

export class MoveCounts {
  readonly #running: Readonly<Record<MoveDirection, Set<Move>>> = { out: new Set(), in: new Set() };
  readonly #leaving = new Set<LeavingMove>();
  readonly #ended = new Map<string, number>();
  #memoryBytes = 0;
  #diskBytes = 0;

  /** A machine begins to leave. */
  leaves(move: LeavingMove): void {
    this.#leaving.add(move);
    this.#begin('out', move, () => {
      this.#leaving.delete(move);
      this.#memoryBytes += move.memoryBytes;
      this.#diskBytes += move.traffic.diskBytes();
    });
  }

  /** A machine is on its way here. */
  arrives(move: Move): void {
    this.#begin('in', move, () => {});
  }

  running(direction: MoveDirection): number {
    return this.#running[direction].size;
  }

  ended(direction: MoveDirection, result: string): number {
    return this.#ended.get(`${direction} ${result}`) ?? 0;
  }

  /** Of moves that ended and of those that run. */
  get sentMemoryBytes(): number {
    return [...this.#leaving].reduce((sum, { memoryBytes }) => sum + memoryBytes, this.#memoryBytes);
  }

  get sentDiskBytes(): number {
    return [...this.#leaving].reduce((sum, { traffic }) => sum + traffic.diskBytes(), this.#diskBytes);
  }

  #begin(direction: MoveDirection, move: Move, onEnd: () => void): void {
    this.#running[direction].add(move);
    void move.settled.then(() => {
      this.#running[direction].delete(move);
      const key = `${direction} ${move.state.outcome?.result}`;
      this.#ended.set(key, (this.#ended.get(key) ?? 0) + 1);
      onEnd();
    });
  }
}
