/**
 * From which hosts chunks should come compressed: those whose link is slower than compressing and undoing it is worth.
 *
 * Who asks decides, because who asks knows how fast chunks come; whether they get any smaller is the sender's to see. Two thresholds, so
 * that a link between them does not change it all the time. Until a rate was measured they come as they are.
 */
import { type HostId, MIB } from '@diskswarm/core';
import type { FetchChannel } from './ports.ts';

/** Bytes per second: a core compresses four times as much as the first. */
const COMPRESS_BELOW = 32 * MIB;
const PLAIN_ABOVE = 48 * MIB;

export class CompressionWishes {
  readonly #slow = new Set<HostId>();

  /** The rate of a host's link, as of now; tells its channels what follows. */
  measured(host: HostId, bytesPerSecond: number | null, channels: Iterable<FetchChannel>): void {
    if (bytesPerSecond === null) return;
    if (bytesPerSecond < COMPRESS_BELOW) this.#slow.add(host);
    else if (bytesPerSecond > PLAIN_ABOVE) this.#slow.delete(host);
    const slow = this.#slow.has(host);
    for (const channel of channels) channel.acceptCompressed(slow);
  }

  /** The host is gone. */
  forget(host: HostId): void {
    this.#slow.delete(host);
  }
}
