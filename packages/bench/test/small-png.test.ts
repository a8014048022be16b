/** PNGs made small show the same picture, whichever filters their lines had. */
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import test from 'ava';
import { smallPng } from '../src/results/small-png.ts';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

function part(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(content.length, 0);
  numbers.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([numbers.subarray(0, 4), body, numbers.subarray(4)]);
}

/** A PNG of these pixels, line y with filter y modulo 5. */
function pngOf(width: number, height: number, pixels: Uint8Array, pixelBytes: 3 | 4): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, pixelBytes === 3 ? 2 : 6, 0, 0, 0], 8);
  const lineBytes = width * pixelBytes;
  const lines = Buffer.alloc(height * (lineBytes + 1));
  for (let y = 0; y < height; y++) {
    lines[y * (lineBytes + 1)] = y % 5;
    for (let x = 0; x < lineBytes; x++) {
      const at = y * lineBytes + x;
      const left = x < pixelBytes ? 0 : pixels[at - pixelBytes]!;
      const above = y === 0 ? 0 : pixels[at - lineBytes]!;
      const corner = x < pixelBytes || y === 0 ? 0 : pixels[at - lineBytes - pixelBytes]!;
      const nearest = [left, above, corner]
        .map((value) => ({ value, off: Math.abs(left + above - corner - value) }))
        .reduce((best, each) => (each.off < best.off ? each : best)).value;
      const guess = [0, left, above, Math.floor((left + above) / 2), nearest][y % 5]!;
      lines[at + y + 1] = pixels[at]! - guess;
    }
  }
  return Buffer.concat([
    SIGNATURE,
    part('IHDR', head),
    part('IDAT', deflateSync(lines)),
    part('IEND', Buffer.alloc(0)),
  ]);
}

/** The colours of the pixels of a PNG with a palette, checked part by part. */
function coloursOf(t: { is(left: unknown, right: unknown): boolean }, png: Buffer, width: number): number[][] {
  const parts = new Map<string, Buffer>();
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    t.is(png.readUInt32BE(at + 8 + length), crc32(png.subarray(at + 4, at + 8 + length)));
    parts.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  t.is(parts.get('IHDR')![9], 3);
  const [palette, lines] = [parts.get('PLTE')!, inflateSync(parts.get('IDAT')!)];
  return [...lines].flatMap((index, at) =>
    at % (width + 1) === 0 ? [] : [[...palette.subarray(index * 3, index * 3 + 3)]],
  );
}

for (const pixelBytes of [3, 4] as const) {
  test(`a picture of few colours is the same, ${pixelBytes} bytes per pixel`, (t) => {
    const [width, height] = [31, 17];
    const pixels = Uint8Array.from({ length: width * height * pixelBytes }, (_, at) => {
      const pixel = Math.floor(at / pixelBytes);
      return at % pixelBytes === 3 ? 255 : ((pixel * 7) % 13) * (17 + (at % pixelBytes));
    });
    const small = Buffer.from(smallPng(pngOf(width, height, pixels, pixelBytes)));
    const expected = Array.from({ length: width * height }, (_, pixel) => [
      ...pixels.subarray(pixel * pixelBytes, pixel * pixelBytes + 3),
    ]);
    t.deepEqual(coloursOf(t, small, width), expected);
  });
}

test('many shades become near ones, and the most frequent stay', (t) => {
  const [width, height] = [64, 64];
  const pixels = new Uint8Array(width * height * 3).fill(255);
  for (let pixel = 0; pixel < 1000; pixel++) pixels.fill(pixel & 255, pixel * 3, pixel * 3 + 3);
  const colours = coloursOf(t, Buffer.from(smallPng(pngOf(width, height, pixels, 3))), width);
  t.true(new Set(colours.map(String)).size <= 64);
  t.deepEqual(colours.at(-1), [255, 255, 255]);
  for (const [pixel, colour] of colours.entries()) {
    for (const [at, value] of colour.entries()) t.true(Math.abs(value - pixels[pixel * 3 + at]!) <= 16);
  }
});

test('the light fields of two systems stay apart, however many edges there are', (t) => {
  const [width, height] = [64, 64];
  const fields = [
    [0xa5, 0xcb, 0xe3],
    [0xa6, 0xd8, 0xc9],
  ];
  const pixels = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const edge = [(pixel * 37) & 255, (pixel * 91) & 255, (pixel * 53) & 255];
    pixels.set(pixel % 4 === 3 ? edge : fields[pixel % 2]!, pixel * 3);
  }
  const colours = coloursOf(t, Buffer.from(smallPng(pngOf(width, height, pixels, 3))), width);
  t.deepEqual(colours[0], fields[0]);
  t.deepEqual(colours[1], fields[1]);
});

test('what is no such PNG stays as it is', (t) => {
  const other = Buffer.from('GIF89a, say');
  t.deepEqual(smallPng(other), other);
});
