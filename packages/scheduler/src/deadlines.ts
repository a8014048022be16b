/**
 * What must be looked at again, and when: a binary heap, earliest first, first in first out among equals.
 *
 * Nothing is taken out early: who set a deadline checks, when it comes, whether it still means anything. Each kind is
 * set at most once per request, want, disk, peer or ban, which bounds the heap.
 */
interface Deadline<Item> {
  readonly atUs: number;
  readonly sequence: number;
  readonly item: Item;
}

export class Deadlines<Item> {
  readonly #heap: Deadline<Item>[] = [];
  #sequence = 0;

  /** The earliest deadline; Infinity when there is none. */
  get nextUs(): number {
    return this.#heap[0]?.atUs ?? Number.POSITIVE_INFINITY;
  }

  set(atUs: number, item: Item): void {
    const heap = this.#heap;
    const deadline = { atUs, sequence: this.#sequence++, item };
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(deadline, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = deadline;
  }

  /** Takes one item whose time has come, or undefined. */
  takeDue(nowUs: number): Item | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atUs > nowUs) return undefined;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let index = 0;
      for (;;) {
        let child = 2 * index + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
        if (!isBefore(heap[child]!, last)) break;
        heap[index] = heap[child]!;
        index = child;
      }
      heap[index] = last;
    }
    return first.item;
  }
}

function isBefore<Item>(a: Deadline<Item>, b: Deadline<Item>): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence);
}
