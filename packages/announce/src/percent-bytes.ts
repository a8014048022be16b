/**
 * Raw bytes in URLs: an info hash or peer id is 20 arbitrary bytes, percent-encoded byte by byte (BEP 3).
 *
 * `decodeURIComponent` cannot read them, because they are no UTF-8. "+" is a byte like any other here.
 */
import { DiskswarmError } from '@diskswarm/core';

/** The text of `bytes`: letters, digits and -._~ as they are, everything else as %XX. */
export function percentEncode(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    text += /[A-Za-z0-9._~-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }
  return text;
}

/** The bytes of `text`; characters above U+00FF, which no URL holds, are INVALID_ARGUMENT. */
export function percentDecode(text: string): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const digits = text[at] === '%' ? text.slice(at + 1, at + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      at += 2;
      continue;
    }
    const code = text.charCodeAt(at);
    if (code > 0xff) throw new DiskswarmError('INVALID_ARGUMENT', 'a query holds a character that belongs in no URL');
    bytes.push(code);
  }
  return Uint8Array.from(bytes);
}
