/**
 * Which hosts of the rosters here are to be sought by way of other hosts: those that no direct way led to for a while.
 *
 * Looked at every few seconds, and more often while somebody is newly missing: nothing says that an address will not come any more.
 * Dialling, backing off from a way that leads nowhere, and taking a direct way that comes later, is the swarm's.
 */
import type { Address, Clock, DiskId, HostId, Timer } from '@diskswarm/core';
import type { Roster } from '@diskswarm/identity';
import { relayAddressOf } from '@diskswarm/swarm';

/** A disk as far as its hosts go. */
export interface SharedDisk {
  readonly disk: DiskId;
  readonly roster: Pick<Roster, 'members'>;
}

export interface MissingHostsOptions {
  readonly clock: Clock;
  readonly self: HostId;
  disks(): Iterable<SharedDisk>;
  connected(): readonly HostId[];
  onMissing(disk: DiskId, address: Address): void;
}

const LOOK_INTERVAL_MS = 4_000;
/** The same while nobody is connected, or somebody is missing who is not sought yet. */
const SHORT_INTERVAL_MS = 500;
/** Looks at which a host is missing before it is sought: a direct way takes less, where there is one. */
const PATIENCE_LOOKS = 3;
/** Hosts of all rosters that are sought at once. */
const MAX_SOUGHT = 128;

export class MissingHosts {
  readonly #options: MissingHostsOptions;
  /** How many looks in a row a host was missing. */
  #missing = new Map<HostId, number>();
  #timer: Timer | null = null;
  #running = false;

  constructor(options: MissingHostsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = true;
    this.#look();
  }

  /** Idempotent. */
  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  #look(): void {
    if (!this.#running) return;
    const { clock, self, disks, connected, onMissing } = this.#options;
    const here = new Set(connected());
    const missing = new Map<HostId, number>();
    // Nobody leads anywhere while nobody is connected.
    for (const { disk, roster } of here.size === 0 ? [] : disks()) {
      for (const { host, revoked } of roster.members) {
        if (host === self || revoked !== undefined || here.has(host)) continue;
        const looks = missing.get(host) ?? (this.#missing.get(host) ?? 0) + 1;
        if (missing.size >= MAX_SOUGHT && !missing.has(host)) continue;
        missing.set(host, looks);
        if (looks >= PATIENCE_LOOKS) onMissing(disk, relayAddressOf(host));
      }
    }
    this.#missing = missing;
    const soon = here.size === 0 || [...missing.values()].some((looks) => looks < PATIENCE_LOOKS);
    this.#timer = clock.setTimer(soon ? SHORT_INTERVAL_MS : LOOK_INTERVAL_MS, () => this.#look(), { background: true });
  }
}
