/**
 * Makes the PNG of a chart small: few colours in a palette, a third of the bytes, so that reports can be kept in a repository.
 *
 * Reads what rsvg-convert writes (8 bits, RGB or RGBA over a white ground, not interlaced) and leaves everything else as it is.
 * The colours that most pixels have stay what they are: those of bars, lines and letters; shades at their edges become near ones.
 */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** Enough for the colours of ten systems, their lighter fields or the shades of a map, and the edges of letters. */
const MAX_COLOURS = 64;
/** As many of the most frequent stay what they are, however near each other they lie. */
const KEPT_COLOURS = 40;

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of each pixel as one number. */
  readonly colours: Uint32Array;
}

/** A PNG with the same picture. */
export function smallPng(png: Uint8Array): Uint8Array {
  const picture = decode(Buffer.from(png.buffer, png.byteOffset, png.byteLength));
  return picture === null ? png : encode(picture);
}

/** Null when it is of another kind. */
function decode(png: Buffer): Picture | null {
  if (!png.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return null;
  const data: Buffer[] = [];
  let head: Buffer | null = null;
  for (let at = SIGNATURE.length; at + 12 <= png.length; ) {
    const content = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    const type = png.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') head = content;
    if (type === 'IDAT') data.push(content);
    at += 12 + content.length;
  }
  if (head === null || head[8] !== 8 || head[12] !== 0 || (head[9] !== 2 && head[9] !== 6)) return null;
  const [width, height, bytes] = [head.readUInt32BE(0), head.readUInt32BE(4), head[9] === 2 ? 3 : 4];
  const raw = unfilter(inflateSync(Buffer.concat(data)), width * bytes, height, bytes);
  const colours = new Uint32Array(width * height);
  for (let pixel = 0, at = 0; pixel < colours.length; pixel++, at += bytes)
    colours[pixel] = (raw[at]! << 16) | (raw[at + 1]! << 8) | raw[at + 2]!;
  return { width, height, colours };
}

/** Undoes the filter of each line (PNG, section 9). */
function unfilter(lines: Uint8Array, lineBytes: number, height: number, pixelBytes: number): Uint8Array {
  const raw = new Uint8Array(lineBytes * height);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (lineBytes + 1)];
    for (let x = 0; x < lineBytes; x++) {
      const at = y * lineBytes + x;
      const left = x < pixelBytes ? 0 : raw[at - pixelBytes]!;
      const above = y === 0 ? 0 : raw[at - lineBytes]!;
      const corner = x < pixelBytes || y === 0 ? 0 : raw[at - lineBytes - pixelBytes]!;
      raw[at] = lines[at + y + 1]! + guessOf(filter, left, above, corner);
    }
  }
  return raw;
}

function guessOf(filter: number | undefined, left: number, above: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  if (filter !== 4) return 0;
  const [toLeft, toAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function encode({ width, height, colours }: Picture): Uint8Array {
  const { palette, indices } = paletteOf(colours);
  const lines = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) lines.set(indices.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    part('IHDR', head),
    part('PLTE', Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))),
    part('IDAT', deflateSync(lines, { level: 9 })),
    part('IEND', Buffer.alloc(0)),
  ]);
}

/** `indices` has one byte per pixel. */
function paletteOf(colours: Uint32Array): { palette: readonly number[]; indices: Uint8Array } {
  const counts = new Map<number, number>();
  for (let pixel = 0; pixel < colours.length; ) {
    const from = pixel;
    const colour = colours[from]!;
    while (pixel < colours.length && colours[pixel] === colour) pixel++;
    counts.set(colour, (counts.get(colour) ?? 0) + pixel - from);
  }
  const most = [...counts].sort(([, left], [, right]) => right - left).map(([colour]) => colour);
  const palette = chosenOf(most);
  const indexOf = new Map(most.map((colour) => [colour, nearest(colour, palette)]));
  const indices = new Uint8Array(colours.length);
  for (let pixel = 0; pixel < colours.length; pixel++)
    indices[pixel] = colours[pixel] === colours[pixel - 1] ? indices[pixel - 1]! : indexOf.get(colours[pixel]!)!;
  return { palette, indices };
}

/** The most frequent colours; of the others those that are from each other as leaves few enough of them. */
function chosenOf(most: readonly number[]): readonly number[] {
  for (let least = 0; ; least += 8) {
    const chosen = most.slice(0, KEPT_COLOURS);
    for (const colour of most.slice(KEPT_COLOURS)) {
      if (chosen.length <= MAX_COLOURS && chosen.every((other) => apart(colour, other) > least)) chosen.push(colour);
    }
    if (chosen.length <= MAX_COLOURS) return chosen;
  }
}

/** Its place in the palette. */
function nearest(colour: number, palette: readonly number[]): number {
  const distances = palette.map((other) => apart(colour, other));
  return distances.indexOf(Math.min(...distances));
}

/** How much red, green and blue of two colours differ together. */
function apart(left: number, right: number): number {
  const of = (shift: number): number => Math.abs(((left >> shift) & 255) - ((right >> shift) & 255));
  return of(16) + of(8) + of(0);
}

function part(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
