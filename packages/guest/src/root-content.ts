/**
 * What is "installed" on a guest's disk: a plan of files and their bytes, a pure function of a seed.
 *
 * Half of the bytes are like programs (no compressor gains on them), half are like text, or all are like programs. A
 * small part, spread over the whole disk, is what the guest reads at boot: as with real systems, a few percent of the image. Modelled, and to be
 * labelled so. Leaves making a file system of it to root-image.ts.
 */

/** One file of the plan. */
export interface PlannedFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: 'binary' | 'text';
  /** Read by the guest while it boots. */
  readonly atBoot: boolean;
}

/** What the files are to add up to. */
export interface ContentPlan {
  readonly contentBytes: number;
  readonly bootBytes: number;
  readonly seed: number;
  /** No file is like text. */
  readonly incompressible: boolean;
}

const FILES_PER_FOLDER = 16;
const SIZES_BYTES = [6_000, 14_000, 33_000, 70_000, 150_000, 330_000, 700_000, 1_500_000];
const WORD_COUNT = 512;

/**
 * Plans files of `contentBytes` in total, of which those read at boot make up at least `bootBytes`.
 *
 * @returns in a fixed order; equal arguments give equal plans.
 */
export function planContent({ contentBytes, bootBytes, seed, incompressible }: ContentPlan): PlannedFile[] {
  const next = xorshift(seed ^ 0x9e3779b9);
  const files: PlannedFile[] = [];
  const everyBoot = contentBytes / Math.max(bootBytes, 1);
  let planned = 0;
  let boot = 0;
  while (planned < contentBytes) {
    const size = Math.min(SIZES_BYTES[next() % SIZES_BYTES.length]! + (next() % 5_000), contentBytes - planned);
    const index = files.length;
    const kind = incompressible || index % 2 === 0 ? 'binary' : 'text';
    const folder = `usr/${kind === 'binary' ? 'lib' : 'share'}/package-${pad(Math.floor(index / FILES_PER_FOLDER))}`;
    // Boot files keep pace with the content, so that they lie all over the disk.
    const atBoot = boot < Math.min(bootBytes, planned / everyBoot);
    files.push({ path: `${folder}/${kind}-${pad(index)}`, sizeBytes: size, kind, atBoot });
    planned += size;
    if (atBoot) boot += size;
  }
  return files;
}

/** The bytes of a planned file, as a fresh array. */
export function contentOf(file: PlannedFile, seed: number): Uint8Array {
  const next = xorshift(seed ^ hashText(file.path));
  return file.kind === 'binary' ? binary(file.sizeBytes, next) : text(file.sizeBytes, next);
}

function binary(sizeBytes: number, next: () => number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let index = 0; index < words.length; index++) words[index] = next();
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

function text(sizeBytes: number, next: () => number): Uint8Array {
  const output = new Uint8Array(sizeBytes);
  let at = 0;
  while (at < sizeBytes) {
    const word = WORDS[next() % WORD_COUNT]!;
    output.set(word.subarray(0, sizeBytes - at), at);
    at += word.length;
  }
  return output;
}

const WORDS: readonly Uint8Array[] = makeWords();

function makeWords(): Uint8Array[] {
  const next = xorshift(0x5eed);
  const letters = 'etaoinshrdlucmwfgypbvk';
  return Array.from({ length: WORD_COUNT }, () => {
    let word = '';
    for (let length = 2 + (next() % 9); length > 0; length--) word += letters[next() % letters.length];
    return Buffer.from(next() % 12 === 0 ? `${word}\n` : `${word} `);
  });
}

/** Marsaglia's xorshift, 32 bits: fast, repeatable, no security. */
function xorshift(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** FNV-1a, 32 bits. */
function hashText(value: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < value.length; index++) {
    hash ^= value.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

function pad(value: number): string {
  return String(value).padStart(4, '0');
}
