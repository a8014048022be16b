/**
 * Where the page asks for an invitation, and somebody with the owner's key signs it: the agent itself never sees the key.
 *
 * Who signs is a command line of the owner that stays connected to the control socket. What it signs is checked there; here are
 * the waiting and its bounds.
 */
import { type Clock, DiskswarmError } from '@diskswarm/core';

/** Invitations that wait to be signed. */
const MAX_UNSIGNED_INVITATIONS = 8;
const SIGN_MS = 60_000;

/** What to sign. */
export interface WantedInvitation {
  readonly name: string;
  readonly hostId: string;
  readonly role: 'reader' | 'writer' | 'keeper';
}

/** `absent`: nobody is there who could sign. */
export type SignedInvitation =
  | { readonly kind: 'made'; readonly invitation: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'absent' };

type Ask = (id: number, wanted: WantedInvitation) => void;

export class InvitationDesk {
  readonly #clock: Clock;
  /** The one that came last is asked. */
  #signers: Ask[] = [];
  readonly #waiting = new Map<number, (signed: SignedInvitation) => void>();
  #nextId = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether somebody is there who signs. */
  get open(): boolean {
    return this.#signers.length > 0;
  }

  /** Asks for each invitation from now on, until `signal` fires; then resolves. */
  sign(ask: Ask, { signal }: { signal: AbortSignal }): Promise<void> {
    this.#signers.push(ask);
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#signers = this.#signers.filter((signer) => signer !== ask);
        resolve();
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Resolves with what the signer said, or that there is none. */
  want(wanted: WantedInvitation): Promise<SignedInvitation> {
    const ask = this.#signers.at(-1);
    if (ask === undefined) return Promise.resolve({ kind: 'absent' });
    if (this.#waiting.size >= MAX_UNSIGNED_INVITATIONS)
      return Promise.resolve({ kind: 'refused', reason: 'too many invitations wait to be signed' });
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(
        SIGN_MS,
        () => this.#settle(id, { kind: 'refused', reason: 'it was not signed within a minute' }),
        { background: true },
      );
      this.#waiting.set(id, (signed) => {
        timer.cancel();
        resolve(signed);
      });
      ask(id, wanted);
    });
  }

  /** The signer's word on one; INVALID_ARGUMENT when nobody waits for it. */
  signed(id: number, signed: SignedInvitation): void {
    if (!this.#settle(id, signed))
      throw new DiskswarmError('INVALID_ARGUMENT', 'nobody waits for this invitation any more', {
        data: { field: 'id' },
      });
  }

  #settle(id: number, signed: SignedInvitation): boolean {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(signed);
    return resolve !== undefined;
  }
}
