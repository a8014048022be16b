/**
 * Keeps one disk announced at its trackers, and passes on the addresses they name.
 *
 * Every pair of tracker and topic repeats at the interval the tracker asks for, within our bounds, with jitter; failures
 * back off; `stop` says goodbye. The topic follows the swarm secret: while members may still hold an earlier one, they are
 * met under its topic too. A peer id is made up per announcer, so that a tracker cannot tell that two disks share a host.
 */
import type { AnnounceEvent } from '@diskswarm/announce';
import { type Address, type Clock, DiskswarmError, hasCode, type Random, sleep, toHex } from '@diskswarm/core';
import { infoHashOf, type SwarmSecret, topicOf } from '@diskswarm/identity';
import { MAX_ANNOUNCE_INTERVAL_MS, MAX_ANNOUNCED_PEERS, MIN_ANNOUNCE_INTERVAL_MS } from '../limits.ts';
import type { DiskMembership } from '../ports.ts';
import type { TrackerClient } from './tracker-client.ts';

export interface DiskAnnouncerOptions {
  readonly membership: Pick<DiskMembership, 'disk' | 'secrets'>;
  /** Announce URLs. */
  readonly trackers: readonly string[];
  readonly client: TrackerClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Where this host accepts connections. */
  readonly listenPort: number;
  /** Bytes of the disk that are not here; 0 for a complete copy. */
  leftBytes(): number;
  onPeers(addresses: readonly Address[]): void;
  /** News to leave at trackers for those who hold this secret, the current one. @default none */
  blob?(secret: SwarmSecret): Uint8Array | null;
  /** What was left there under it, unchecked. */
  onBlob?(blob: Uint8Array, secret: SwarmSecret): void;
}

/** What a person is shown of a tracker. */
export interface TrackerStatus {
  readonly url: string;
  /** Of the last announce; null before the first. */
  readonly ok: boolean | null;
  readonly message: string | null;
}

/** Topics that are kept up at once: of the current secret and the one before. */
const MAX_TOPICS = 2;
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 600_000;
/** How long a goodbye may take. */
const GOODBYE_MS = 2_000;

export class DiskAnnouncer {
  readonly #options: DiskAnnouncerOptions;
  readonly #peerId: Uint8Array;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #status = new Map<string, TrackerStatus>();
  /** Info hashes each tracker knows us under. */
  readonly #announced = new Map<string, Set<string>>();
  #wake = new AbortController();
  #stopped: Promise<void> | null = null;

  constructor(options: DiskAnnouncerOptions) {
    this.#options = options;
    this.#peerId = options.random.bytes(20);
  }

  /** Begins to announce. */
  start(): void {
    for (const url of this.#options.trackers) {
      this.#status.set(url, { url, ok: null, message: null });
      this.#announced.set(url, new Set());
      this.#running.push(this.#loop(url));
    }
  }

  /** Announces at once: the secret changed, or the disk became complete. */
  announceNow(): void {
    this.#wake.abort();
  }

  status(): TrackerStatus[] {
    return [...this.#status.values()];
  }

  /** Says goodbye and ends. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #loop(url: string): Promise<void> {
    let failures = 0;
    while (!this.#abort.signal.aborted) {
      const topics = this.#topics();
      let delayMs = MAX_ANNOUNCE_INTERVAL_MS;
      try {
        for (const infoHash of topics) delayMs = Math.min(delayMs, await this.#announce(url, infoHash));
        failures = 0;
        this.#status.set(url, { url, ok: true, message: null });
      } catch (error) {
        if (!(error instanceof DiskswarmError)) throw error;
        if (this.#abort.signal.aborted) return;
        delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 20));
        failures += 1;
        this.#status.set(url, { url, ok: false, message: error.message });
      }
      await this.#pause(delayMs);
    }
  }

  /** Announces one topic; the milliseconds until the next time. */
  async #announce(url: string, infoHash: string): Promise<number> {
    const known = this.#announced.get(url)!;
    const response = await this.#send(url, infoHash, known.has(infoHash) ? 'none' : 'started', this.#abort.signal);
    known.add(infoHash);
    if (!this.#abort.signal.aborted) this.#options.onPeers(response.peers.slice(0, MAX_ANNOUNCED_PEERS));
    const { onBlob } = this.#options;
    const secret = this.#currentOf(infoHash);
    if (response.blob !== undefined && secret !== null) onBlob?.(response.blob, secret);
    const asked = Math.max(response.intervalSeconds, response.minIntervalSeconds) * 1000;
    return Math.min(MAX_ANNOUNCE_INTERVAL_MS, Math.max(MIN_ANNOUNCE_INTERVAL_MS, asked));
  }

  #send(
    url: string,
    infoHash: string,
    event: AnnounceEvent,
    signal: AbortSignal,
  ): ReturnType<TrackerClient['announce']> {
    const { client, listenPort } = this.#options;
    // Under an earlier secret somebody may listen who was revoked since.
    const secret = this.#currentOf(infoHash);
    const blob = secret === null ? null : (this.#options.blob?.(secret) ?? null);
    const request = {
      ...(blob === null ? {} : { blob }),
      infoHash,
      peerId: this.#peerId,
      port: listenPort,
      uploadedBytes: 0,
      downloadedBytes: 0,
      leftBytes: this.#options.leftBytes(),
      event,
      peersWanted: event === 'stopped' ? 0 : null,
    };
    return client.announce(url, request, { signal });
  }

  /** The current secret where this is its topic. */
  #currentOf(infoHash: string): SwarmSecret | null {
    const { disk } = this.#options.membership;
    const secret = this.#options.membership.secrets()[0];
    return secret !== undefined && toHex(infoHashOf(topicOf(secret, disk))) === infoHash ? secret : null;
  }

  #topics(): string[] {
    const { membership } = this.#options;
    const secrets: readonly SwarmSecret[] = membership.secrets().slice(0, MAX_TOPICS);
    return secrets.map((secret) => toHex(infoHashOf(topicOf(secret, membership.disk))));
  }

  async #pause(delayMs: number): Promise<void> {
    // Nine tenths to eleven tenths, so that hosts that started together do not stay together.
    const jittered = (delayMs * (900 + this.#options.random.below(201))) / 1000;
    const signal = AbortSignal.any([this.#abort.signal, this.#wake.signal]);
    try {
      await sleep(this.#options.clock, jittered, { signal });
    } catch (error) {
      if (!hasCode(error, 'ABORTED')) throw error;
      if (!this.#abort.signal.aborted) this.#wake = new AbortController();
    }
  }

  async #end(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
    const farewell = new AbortController();
    const timer = this.#options.clock.setTimer(GOODBYE_MS, () => farewell.abort(), { background: true });
    const goodbyes = [...this.#announced].flatMap(([url, topics]) =>
      [...topics].map((infoHash) => this.#send(url, infoHash, 'stopped', farewell.signal)),
    );
    await Promise.allSettled(goodbyes);
    timer.cancel();
  }
}
