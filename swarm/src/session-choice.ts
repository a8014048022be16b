/**
 * Which of two ways to one host is kept. A direct one replaces one through a third host, whose line and power it spares; not while
 * streams are open or a machine is on its way, because these end with their session, nor soon after a direct one that came to nothing.
 * A split of the link is the host's, not the session's: the next session takes it over.
 */
import { type Address, type Clock, DiskswarmError, type HostId, hasCode } from '@diskswarm/core';
import { DETOUR_KEPT_MS, SIMULTANEOUS_DIAL_MS } from './limits.ts';
import type { LinkSplit } from './link-share.ts';
import { relayedHostOf } from './relay/relay-address.ts';
import type { Session } from './session.ts';

export class SessionChoice {
  readonly #self: HostId;
  readonly #clock: Clock;
  /** Hosts whose direct way broke before it carried a session, and until when that is remembered. */
  readonly #broken = new Map<HostId, number>();
  /** Hosts whose session has to stay, and for how many reasons. */
  readonly #kept = new Map<HostId, number>();
  readonly #splits = new Map<HostId, LinkSplit>();

  constructor(self: HostId, clock: Clock) {
    this.#self = self;
    this.#clock = clock;
  }

  /** Whether a session leaves nothing to be gained by dialling its host at `address`; null: there is none. */
  suffices(known: Session | null, address: Address): boolean {
    if (known === null) return false;
    if (!isDetour(known.address) || isDetour(address) || known.streaming || this.#kept.has(known.host)) return true;
    return this.#clock.nowUs() < (this.#broken.get(known.host) ?? 0);
  }

  /** Looks for no better way to a host until what is returned is called, once or more; `onFree`: nobody keeps it any longer. */
  keep(host: HostId, onFree: () => void): () => void {
    this.#kept.set(host, (this.#kept.get(host) ?? 0) + 1);
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      const left = this.#kept.get(host)! - 1;
      if (left > 0) this.#kept.set(host, left);
      else {
        this.#kept.delete(host);
        onFree();
      }
    };
  }

  /** Splits the link of the session with a host, and of those that follow it; null: as ever. */
  split(host: HostId, split: LinkSplit | null, session: Session | undefined): void {
    if (split === null) this.#splits.delete(host);
    else this.#splits.set(host, split);
    session?.share.split(split);
  }

  /** A session begins. */
  begun(session: Session): Session {
    const split = this.#splits.get(session.host);
    if (split !== undefined) session.share.split(split);
    return session;
  }

  /**
   * Ends a session whose host dialled us anew at `address`, unless it stays: then false. That host has none that works, or a
   * worse one: it would have left us alone otherwise. Except when both dialled at the same moment: then the direct way stays,
   * else what the lower host id dialled. `instance`: the run of the host's agent.
   */
  makesWay(known: Session, address: Address, instance: string): boolean {
    const [was, is] = [isDetour(known.address), isDetour(address)];
    const young = this.#clock.nowUs() - known.startedUs < SIMULTANEOUS_DIAL_MS * 1000;
    const preferred = was === is ? known.initiator && this.#self < known.host : is;
    if (young && known.instance === instance && preferred) return false;
    this.replace(known);
    return true;
  }

  /** Ends a session in favour of another one. */
  replace(known: Session): void {
    const { host } = known;
    known.close(new DiskswarmError('ABORTED', 'replaced by a newer connection', { data: { host } }));
  }

  /** A session ended. */
  ended({ host, address, complete }: Session, error: DiskswarmError | undefined): void {
    if (isDetour(address) || hasCode(error, 'ABORTED')) return;
    if (complete) this.#broken.delete(host);
    else this.#broken.set(host, this.#clock.nowUs() + DETOUR_KEPT_MS * 1000);
  }
}

/** Whether an address leads through a third host. */
function isDetour(address: Address): boolean {
  return relayedHostOf(address) !== null;
}
