/**
 * The second serial line of a guest that an agent runs, heard on every host that the guest may run on.
 *
 * A guest's own clock stands still while it is paused, so its silence is measured here, at the other end of the line: from its last tick on one host to
 * its next one on another. A command goes to where the guest was heard last. Moves nothing and starts nothing.
 */
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { DiskswarmError } from '@diskswarm/core';
import { type GuestEvent, GuestProtocol } from '@diskswarm/guest';

/** Until QEMU has opened its end. */
const RETRY_MS = 5;
/** What a guest does not do within this time is given up. */
const DEFAULT_PATIENCE_MS = 60_000;

interface Ear {
  readonly place: string;
  readonly socket: net.Socket;
}

export class GuestLine {
  readonly #signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #ears = new Set<Ear>();
  readonly #waiting = new Set<() => void>();
  readonly #answers = new Map<number, Extract<GuestEvent, { type: 'result' }>>();
  readonly #ticksAt = new Map<string, number>();
  #speaker: Ear | null = null;
  #isUp = false;
  #trouble = '';
  #tag = 0;
  #tick = 0;
  #missedTicks = 0;
  #heardAtMs = 0;
  #longestSilenceMs = 0;
  #durableWrites = 0;

  constructor(signal: AbortSignal) {
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
  }

  /** Listens at `place` as soon as there is a guest: `socketPath` is where its QEMU will listen. */
  listen(place: string, socketPath: string): void {
    void this.#connect(place, socketPath).catch(() => {}); // Closed.
  }

  /** Records that the guest was told are durable. */
  get durableWrites(): number {
    return this.#durableWrites;
  }

  /** Ticks that should have come between others and did not, or came twice. */
  get missedTicks(): number {
    return this.#missedTicks;
  }

  /** Ticks heard at `place`. */
  ticksAt(place: string): number {
    return this.#ticksAt.get(place) ?? 0;
  }

  /** The longest time between two ticks since this was asked last. */
  takeLongestSilenceMs(): number {
    const longest = this.#longestSilenceMs;
    this.#longestSilenceMs = 0;
    return longest;
  }

  /** Resolves when the guest is up. */
  ready(): Promise<void> {
    return this.until('the guest is up', () => this.#isUp);
  }

  /** Gives a command; resolves with its answer. GUEST_COMMAND_FAILED, TIMEOUT, GUEST_EXITED. */
  async command(command: string): Promise<readonly string[]> {
    const tag = ++this.#tag;
    this.#speaker?.socket.write(`@${tag} ${command}\n`);
    await this.until(`the guest answers "${command}"`, () => this.#answers.has(tag));
    const { ok, words } = this.#answers.get(tag)!;
    this.#answers.delete(tag);
    if (!ok) throw new DiskswarmError('GUEST_COMMAND_FAILED', `in the guest, "${command}" failed: ${words.join(' ')}`);
    return words;
  }

  /** Resolves when `holds`; asked whenever the guest was heard. TIMEOUT, GUEST_EXITED when nobody speaks any more. */
  async until(what: string, holds: () => boolean, patienceMs = DEFAULT_PATIENCE_MS): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.#signal.aborted) reject(new DiskswarmError('ABORTED', `${what}: the line was closed`));
      else if (this.#trouble !== '') reject(new DiskswarmError('GUEST_FAILED', `the guest: ${this.#trouble}`));
      else if (holds()) resolve();
      else if (this.#speaker !== null && this.#ears.size === 0)
        reject(new DiskswarmError('GUEST_EXITED', `${what}: the guest's QEMU ended`));
    };
    const timer = setTimeout(
      () => reject(new DiskswarmError('TIMEOUT', `${what}: not within ${patienceMs / 1000} s`)),
      patienceMs,
    );
    this.#waiting.add(look);
    this.#signal.addEventListener('abort', look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
      this.#signal.removeEventListener('abort', look);
    }
  }

  /** Idempotent. */
  close(): void {
    this.#over.abort();
    for (const { socket } of this.#ears) socket.destroy();
  }

  async #connect(place: string, socketPath: string): Promise<void> {
    for (;;) {
      const socket = net.connect(socketPath);
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (isOpen) {
        this.#hear({ place, socket });
        return;
      }
      await pause(RETRY_MS, undefined, { signal: this.#signal });
    }
  }

  #hear(ear: Ear): void {
    const protocol = new GuestProtocol();
    this.#ears.add(ear);
    this.#speaker ??= ear;
    ear.socket.on('error', () => {}); // Its close says the same.
    ear.socket.on('data', (bytes) => {
      for (const event of protocol.feed(bytes)) this.#apply(ear, event);
      this.#wake();
    });
    ear.socket.once('close', () => {
      this.#ears.delete(ear);
      this.#wake();
    });
    if (this.#signal.aborted) ear.socket.destroy();
  }

  #apply(ear: Ear, event: GuestEvent): void {
    this.#speaker = ear;
    if (event.type === 'ready') this.#isUp = true;
    else if (event.type === 'fatal') this.#trouble = event.reason;
    else if (event.type === 'result') this.#answers.set(event.tag, event);
    else if (event.type === 'wrote') this.#durableWrites = Math.max(this.#durableWrites, event.number);
    else {
      const nowMs = performance.now();
      this.#ticksAt.set(ear.place, this.ticksAt(ear.place) + 1);
      this.#missedTicks += Math.abs(event.number - this.#tick - 1);
      if (this.#tick > 0) this.#longestSilenceMs = Math.max(this.#longestSilenceMs, nowMs - this.#heardAtMs);
      this.#tick = event.number;
      this.#heardAtMs = nowMs;
    }
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }
}
