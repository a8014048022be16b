/**
 * The trace of a run: a hash over every line, and the last lines themselves for whoever has to understand a failure.
 *
 * Hashed in blocks, each chained to the one before, so that long runs cost neither memory nor a hash per line.
 */
import { blake3, toHex } from '@diskswarm/core';

/** Lines kept for a failure's report; the hash covers all. */
const KEPT_LINES = 4000;
const BLOCK_CHARACTERS = 65_536;

export class EventLog {
  readonly #onLine: ((line: string) => void) | undefined;
  #chain: Uint8Array = new Uint8Array(32);
  #block = '';
  #lines: string[] = [];
  #count = 0;

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  /** Lines so far. */
  get count(): number {
    return this.#count;
  }

  add(timeUs: number, text: string): void {
    const line = `${timeUs} ${text}`;
    this.#count++;
    this.#block += `${line}\n`;
    if (this.#block.length >= BLOCK_CHARACTERS) {
      this.#chain = this.#hash();
      this.#block = '';
    }
    this.#lines.push(line);
    if (this.#lines.length >= 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES);
    this.#onLine?.(line);
  }

  /** Hash of all lines so far. */
  get hash(): string {
    return toHex(this.#hash());
  }

  /** The last lines, at most 4000, each `time in microseconds, what happened`. */
  get lines(): readonly string[] {
    return this.#lines.slice(-KEPT_LINES);
  }

  #hash(): Uint8Array {
    return blake3(Buffer.concat([this.#chain, Buffer.from(this.#block)]));
  }
}
