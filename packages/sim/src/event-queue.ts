/** Pending events by time, those of the same time in the order they were scheduled: a binary heap. */

/** Something that will happen once. */
export interface PendingEvent {
  readonly timeUs: number;
  readonly order: number;
  /** What the trace calls it. */
  readonly label: string;
  readonly run: () => void;
  /** False once it should not happen any more; it is then passed over without a trace. */
  readonly wanted: () => boolean;
}

export class EventQueue {
  readonly #heap: PendingEvent[] = [];
  #scheduled = 0;

  get size(): number {
    return this.#heap.length;
  }

  push(event: Omit<PendingEvent, 'order'>): void {
    const heap = this.#heap;
    const entry = { ...event, order: this.#scheduled++ };
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  /** The earliest event that is still wanted, left in the queue. */
  peek(): PendingEvent | undefined {
    while (this.#heap.length > 0 && !this.#heap[0]!.wanted()) this.#removeFirst();
    return this.#heap[0];
  }

  /** Takes the earliest event that is still wanted. */
  pop(): PendingEvent | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: PendingEvent, b: PendingEvent): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.order < b.order);
}
