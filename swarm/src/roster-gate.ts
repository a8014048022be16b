/**
 * Holds what a peer says back until its roster is checked and stored (design D3: rosters before anything else).
 *
 * Closed at first, until the first roster is accepted and both lanes work; closed again while a later roster is looked at.
 * Bounded: a peer that talks on meanwhile, beyond what an honest one says, is refused.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_GATED_BYTES, MAX_GATED_MESSAGES } from './limits.ts';

export class RosterGate {
  readonly #accept: (bundle: Uint8Array) => Promise<void>;
  readonly #lanesWork: () => boolean;
  readonly #onOpen: () => void;
  readonly #onError: (error: unknown) => void;
  #held: { run: () => void }[] = [];
  #heldBytes = 0;
  /** The first roster has arrived. */
  #begun = false;
  /** No roster is being looked at. */
  #accepted = false;
  #open = false;
  #closed = false;

  constructor(options: {
    accept: (bundle: Uint8Array) => Promise<void>;
    lanesWork: () => boolean;
    /** Called each time the gate opens, before what was held. */
    onOpen: () => void;
    /** A refused roster, or a failure of what was held. */
    onError: (error: unknown) => void;
  }) {
    this.#accept = options.accept;
    this.#lanesWork = options.lanesWork;
    this.#onOpen = options.onOpen;
    this.#onError = options.onError;
  }

  /** A first roster was seen, accepted or not. */
  get begun(): boolean {
    return this.#begun;
  }

  /** A roster arrived: in turn with everything else. */
  roster(bundle: Uint8Array): void {
    if (this.#begun) {
      this.pass(bundle.length, () => this.#judge(bundle));
    } else {
      this.#begun = true;
      this.#judge(bundle);
    }
  }

  /** Runs `run` now, or when the gate opens. */
  pass(lengthBytes: number, run: () => void): void {
    if (this.#closed) return;
    if (this.#open) {
      run();
      return;
    }
    this.#heldBytes += lengthBytes;
    if (this.#held.length >= MAX_GATED_MESSAGES || this.#heldBytes > MAX_GATED_BYTES) {
      throw new DiskswarmError('PROTOCOL_ERROR', 'too much said before the roster was accepted');
    }
    this.#held.push({ run });
  }

  /** Forgets what is held. */
  close(): void {
    this.#closed = true;
    this.#held = [];
  }

  /** Opens when everything it waits for is there. */
  update(): void {
    if (this.#closed || this.#open || !this.#accepted || !this.#lanesWork()) return;
    this.#open = true;
    try {
      this.#onOpen();
      while (this.#open && !this.#closed) {
        const next = this.#held.shift();
        if (next === undefined) break;
        next.run();
      }
      if (this.#held.length === 0) this.#heldBytes = 0;
    } catch (error) {
      this.#onError(error);
    }
  }

  #judge(bundle: Uint8Array): void {
    this.#open = false;
    this.#accepted = false;
    this.#accept(bundle).then(
      () => {
        this.#accepted = true;
        this.update();
      },
      (error: unknown) => {
        if (!this.#closed) this.#onError(error);
      },
    );
  }
}
