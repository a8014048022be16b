/**
 * What a migration sends, by kind: in total since it began, and per second over the last seconds.
 *
 * Memory is counted where it leaves. Chunks are counted twice: where they leave, which is what the record says (a channel that was renewed begins at
 * nothing, so each is counted from where it was found), and by what the destination tells, which knows what was waited for.
 */
import type { Clock, HostId } from '@diskswarm/core';
import type { Statistics } from '@diskswarm/migration';
import type { ManagedDisk } from '../agent/managed-disk.ts';

/** Bytes per second of each kind on the link from here to the destination. */
export interface LinkUse {
  readonly memoryBytesPerSecond: number;
  /** null while the destination tells nothing. */
  readonly faultBytesPerSecond: number | null;
  readonly backgroundBytesPerSecond: number | null;
}

interface Sample {
  readonly atUs: number;
  readonly bytes: number;
}

/** Rates are means over about so long. */
const WINDOW_US = 2_500_000;

type Disk = Pick<ManagedDisk, 'peers'>;
type Channel = { readonly sent: { readonly totalBytes: number } };

export class Traffic {
  readonly #clock: Clock;
  readonly #self: HostId;
  readonly #to: HostId;
  readonly #memory = new Rate();
  readonly #faults = new Rate();
  readonly #background = new Rate();
  readonly #sent = new Map<Disk, { channel: Channel; seenBytes: number }>();
  #diskBytes = 0;
  #statistics: Statistics | null = null;

  /** Counts from now on. */
  constructor(clock: Clock, { self, to, disks }: { self: HostId; to: HostId; disks: readonly Disk[] }) {
    this.#clock = clock;
    this.#self = self;
    this.#to = to;
    for (const disk of disks) {
      const channel = disk.peers.link(to)?.channel;
      if (channel !== undefined) this.#sent.set(disk, { channel, seenBytes: channel.sent.totalBytes });
      else this.#sent.set(disk, { channel: { sent: { totalBytes: 0 } }, seenBytes: 0 });
    }
  }

  /** The destination told what came. */
  heard(statistics: Statistics): void {
    this.#statistics = statistics;
    const own = statistics.sources.find(({ host }) => host === this.#self);
    const atUs = this.#clock.nowUs();
    this.#faults.add({ atUs, bytes: own?.faultBytes ?? 0 });
    this.#background.add({ atUs, bytes: own?.backgroundBytes ?? 0 });
    this.diskBytes(); // Before a channel goes.
  }

  /** What the destination told last; null before that. */
  get statistics(): Statistics | null {
    return this.#statistics;
  }

  /** Chunk bytes that left for the destination since the migration began. */
  diskBytes(): number {
    for (const [disk, known] of this.#sent) {
      const channel = disk.peers.link(this.#to)?.channel ?? known.channel;
      if (channel !== known.channel) {
        this.#diskBytes += known.channel.sent.totalBytes - known.seenBytes;
        known.channel = channel;
        known.seenBytes = 0;
      }
      const { totalBytes } = channel.sent;
      this.#diskBytes += totalBytes - known.seenBytes;
      known.seenBytes = totalBytes;
    }
    return this.#diskBytes;
  }

  /** `memoryBytes`: that left so far. Ask about once a second. */
  use(memoryBytes: number): LinkUse {
    const atUs = this.#clock.nowUs();
    this.#memory.add({ atUs, bytes: memoryBytes });
    const told = this.#statistics !== null;
    return {
      memoryBytesPerSecond: this.#memory.at(atUs),
      faultBytesPerSecond: told ? this.#faults.at(atUs) : null,
      backgroundBytesPerSecond: told ? this.#background.at(atUs) : null,
    };
  }
}

/** Mean growth of a counter over the window. */
class Rate {
  #samples: Sample[] = [];

  add(sample: Sample): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && sample.atUs - last.atUs < WINDOW_US / 10) this.#samples.pop();
    this.#samples.push(sample);
    // One from before the window stays, as where it began.
    while (this.#samples.length > 2 && sample.atUs - this.#samples[1]!.atUs >= WINDOW_US) this.#samples.shift();
  }

  at(nowUs: number): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || nowUs - last.atUs > WINDOW_US || last === first) return 0;
    return Math.max(0, Math.round(((last.bytes - first.bytes) * 1e6) / (last.atUs - first.atUs)));
  }
}
