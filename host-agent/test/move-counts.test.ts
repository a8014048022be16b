/** Moves counted for monitors: what runs, how it ended, and bytes that never become fewer when a move ends. */
import test from 'ava';
import { MOVE_RESULTS, MoveCounts } from '../src/migration/move-counts.ts';

class Move {
  readonly #settled = Promise.withResolvers<void>();
  state: { outcome: { result: string } | null } = { outcome: null };
  memoryBytes = 0;
  diskBytes = 0;
  readonly traffic = { diskBytes: (): number => this.diskBytes };

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  async end(result: string): Promise<void> {
    this.state = { outcome: { result } };
    this.#settled.resolve();
    await this.settled;
  }
}

test('a move runs until everything of it is done, and then counts by its result', async (t) => {
  const counts = new MoveCounts();
  const [one, other, arriving] = [new Move(), new Move(), new Move()];
  counts.leaves(one);
  counts.leaves(other);
  counts.arrives(arriving);
  one.memoryBytes = 1000;
  one.diskBytes = 10;
  other.memoryBytes = 500;
  t.deepEqual([counts.running('out'), counts.running('in'), counts.sentMemoryBytes], [2, 1, 1500]);
  await one.end('done');
  await arriving.end('discarded');
  t.deepEqual([counts.running('out'), counts.running('in')], [1, 0]);
  t.deepEqual([counts.ended('out', 'done'), counts.ended('out', 'failed'), counts.ended('in', 'discarded')], [1, 0, 1]);
  t.deepEqual([counts.sentMemoryBytes, counts.sentDiskBytes], [1500, 10]);
  other.memoryBytes = 700;
  await other.end('cancelled');
  t.deepEqual([counts.sentMemoryBytes, counts.sentDiskBytes, counts.ended('out', 'cancelled')], [1700, 10, 1]);
  t.true(MOVE_RESULTS.out.includes('cancelled') && MOVE_RESULTS.in.includes('discarded'));
});
