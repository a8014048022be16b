/**
 * Who may read the dashboard: whoever brings a code that this agent gave out over its control socket, once.
 *
 * A code is short-lived and good for one session, so that one in a browser's history or a terminal's scrollback opens nothing. A session
 * lasts as long as the agent, and is kept by the page itself and not in a cookie: cookies go to every port of a host. Only digests
 * are kept, and they are compared in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Clock, type Random, toHex } from '@diskswarm/core';

/** Codes that wait to be used; the oldest is forgotten. */
const MAX_DASHBOARD_CODES = 16;
/** Browsers that may read; the oldest is forgotten. */
const MAX_DASHBOARD_SESSIONS = 32;
const CODE_LIFE_US = 600_000_000;
const SECRET_BYTES = 32;

interface Code {
  readonly digest: Uint8Array;
  readonly untilUs: number;
}

export class DashboardAccess {
  readonly #clock: Clock;
  readonly #random: Random;
  #codes: Code[] = [];
  #sessions: Uint8Array[] = [];

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A code for one session, good for ten minutes. */
  newCode(): string {
    const code = toHex(this.#random.bytes(SECRET_BYTES));
    const untilUs = this.#clock.nowUs() + CODE_LIFE_US;
    this.#codes = [...this.#codes, { digest: digestOf(code), untilUs }].slice(-MAX_DASHBOARD_CODES);
    return code;
  }

  /** The secret of a new session; null for a code that was never given out, is used or too old. */
  redeem(code: string): string | null {
    const nowUs = this.#clock.nowUs();
    const digest = digestOf(code);
    const found = this.#codes.filter((known) => timingSafeEqual(known.digest, digest))[0];
    this.#codes = this.#codes.filter((known) => known !== found && known.untilUs > nowUs);
    if (found === undefined || found.untilUs <= nowUs) return null;
    const session = toHex(this.#random.bytes(SECRET_BYTES));
    this.#sessions = [...this.#sessions, digestOf(session)].slice(-MAX_DASHBOARD_SESSIONS);
    return session;
  }

  /** Whether this is the secret of a session. */
  admits(session: string): boolean {
    const digest = digestOf(session);
    return this.#sessions.filter((known) => timingSafeEqual(known, digest)).length > 0;
  }
}

function digestOf(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest();
}
