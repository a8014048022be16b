/**
 * A line of text as the squares of a QR code. The single place that imports `qrcode-generator`.
 *
 * What is too long for the largest code has none: the line itself is always shown beside.
 */
import qrcode from 'qrcode-generator';

/** Longest text: 177 squares a side. */
const MAX_QR_CHARS = 2900;

/** Rows from top to bottom, one character for each square: 1 is dark. */
export type QrCode = readonly string[];

/** null for a text that is too long. */
export function qrCodeOf(text: string): QrCode | null {
  if (text.length > MAX_QR_CHARS) return null;
  const code = qrcode(0, 'L');
  code.addData(text, 'Byte');
  code.make();
  const side = code.getModuleCount();
  return Array.from({ length: side }, (_, row) =>
    Array.from({ length: side }, (_, column) => (code.isDark(row, column) ? '1' : '0')).join(''),
  );
}
