/**
 * The host's end of the line protocol with the guest: bytes in, events out. Pure; guest-script.ts is the other end.
 *
 * Anything that is not a protocol line (firmware, kernel, a half line from before a reset) is passed over. Lines are
 * bounded: what is longer than MAX_LINE_BYTES is dropped up to its newline.
 */

/** The longest line that counts. */
export const MAX_LINE_BYTES = 4096;

/** What a guest said. */
export type GuestEvent =
  | { readonly type: 'ready'; readonly uptimeSeconds: number }
  | { readonly type: 'fatal'; readonly reason: string }
  /** One more beat of a guest at work; `uptimeSeconds` is of its own clock, which stands still while it is paused. */
  | { readonly type: 'tick'; readonly number: number; readonly uptimeSeconds: number }
  /** Record `number` of the journal is durable. */
  | { readonly type: 'wrote'; readonly number: number }
  | { readonly type: 'result'; readonly tag: number; readonly ok: boolean; readonly words: readonly string[] };

/** Cuts a byte stream into events. */
export class GuestProtocol {
  #line = '';
  #overlong = false;

  /** Takes the next bytes; returns the events that they complete, in order. */
  feed(bytes: Uint8Array): GuestEvent[] {
    const events: GuestEvent[] = [];
    const pieces = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').split('\n');
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) {
        const event = this.#overlong ? undefined : parseGuestLine(this.#line);
        if (event !== undefined) events.push(event);
        this.#line = '';
        this.#overlong = false;
      }
      this.#overlong ||= this.#line.length + piece.length > MAX_LINE_BYTES;
      if (!this.#overlong) this.#line += piece;
    }
    return events;
  }
}

/** The event in one line, or undefined when it is none of ours. */
export function parseGuestLine(line: string): GuestEvent | undefined {
  const [head, ...words] = line.trim().split(/\s+/);
  if (head === 'DS-READY') {
    const uptimeSeconds = Number(words[0]);
    return words.length === 1 && Number.isFinite(uptimeSeconds) ? { type: 'ready', uptimeSeconds } : undefined;
  }
  if (head === 'DS-FATAL') return { type: 'fatal', reason: words.join(' ') };
  if (head === 'DS-TICK' || head === 'DS-WROTE') {
    const [number, uptimeSeconds] = words.map(Number);
    if (!words.every((word) => /^\d+(\.\d+)?$/.test(word)) || !Number.isSafeInteger(number)) return undefined;
    if (head === 'DS-WROTE') return words.length === 1 ? { type: 'wrote', number: number! } : undefined;
    return words.length === 2 ? { type: 'tick', number: number!, uptimeSeconds: uptimeSeconds! } : undefined;
  }
  if (head !== 'DS-OK' && head !== 'DS-FAIL') return undefined;
  const tag = /^@(\d{1,9})$/.exec(words[0] ?? '')?.[1];
  if (tag === undefined) return undefined;
  return { type: 'result', tag: Number(tag), ok: head === 'DS-OK', words: words.slice(1) };
}
