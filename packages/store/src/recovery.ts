/**
 * From the files to a catalog: checkpoint, then the log behind it, then its tail with suspicion.
 *
 * Up to the last mark everything was durable: records count by their headers, and what cannot be read is damage, reported.
 * Behind it a power cut may have kept any sectors and lost any others: chunks count only if their bytes match their ids, and what is
 * broken is made void, so that the next start, which will find marks behind it, does not take it for damage. What counts is then
 * written again and synced: an earlier process may have failed to sync it, and the kernel may think it clean.
 * When this is done, all that the catalog knows is durable, and the newest pack can be appended to.
 */
import { blake3, type DiskId, idFromBytes, type Random, type Storage, type StorageFile } from '@diskswarm/core';
import { NOBODY } from './admissions.ts';
import { Catalog, type Pack } from './catalog.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { DamageListener } from './damage.ts';
import { KEY_BYTES, newKey, readKey } from './key.ts';
import {
  compareLogPositions,
  decodePackHeader,
  encodePackHeader,
  encodeRecordHeader,
  isIdOf,
  KIND,
  type LogPosition,
  PACK_HEADER_BYTES,
  packName,
  packNumberOf,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './pack-format.ts';
import { type Found, walkPack } from './pack-walk.ts';

export interface Recovered {
  readonly catalog: Catalog;
  readonly nonce: number;
  /** Number of the newest pack, 0 when there is none. */
  readonly newestPack: number;
  /** End of the log, all of it durable. */
  readonly end: LogPosition;
  /** True when the log says of its whole length that it is durable. */
  readonly marked: boolean;
  /** True when the checkpoint was there and good. */
  readonly fromCheckpoint: boolean;
  /** False when nothing in the packs can be read: they are left alone. */
  readonly readable: boolean;
}

interface PackFile {
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** Null when the header is damaged. */
  readonly nonce: number | null;
}

interface Pending {
  readonly pack: Pack;
  readonly found: Found;
}

/** Reads the store whose packs are in `packFolder`. Rejects with STATE_VERSION or READ_FAILED. */
export async function recover(
  storage: Storage,
  paths: { readonly packFolder: string; readonly checkpoint: string },
  random: Random,
  onDamage: DamageListener,
): Promise<Recovered> {
  const files = await findPacks(storage, paths.packFolder);
  let catalog = catalogOf(files);
  const info = await readCheckpoint(storage, paths.checkpoint, catalog);
  if (info === null) catalog = catalogOf(files);
  const known = info?.nonce ?? files.find((file) => file.nonce !== null)?.nonce ?? null;
  const nonce = known ?? random.below(2 ** 32);
  const start = info?.scanFrom ?? { pack: 0, positionBytes: 0 };
  const scan = new Scan(storage, catalog, nonce, info?.synced ?? start, onDamage);
  for (const file of files) {
    const pack = catalog.packs.get(file.number)!;
    // With every header and the checkpoint gone nothing in a pack can be told from content: it is reported and left as it is.
    if (known === null)
      onDamage({ id: null, path: pack.path, positionBytes: 0, lengthBytes: pack.sizeBytes, kind: 'changed' });
    else if (file.number >= start.pack)
      await scan.pack(pack, file.nonce !== null, file.number === start.pack ? start.positionBytes : 0);
  }
  const marked = await scan.finish();
  settleCatalog(catalog, onDamage);
  const newest = [...catalog.packs.values()].at(-1);
  const end = { pack: newest?.number ?? 0, positionBytes: newest?.sizeBytes ?? 0 };
  return { catalog, nonce, newestPack: end.pack, end, marked, fromCheckpoint: info !== null, readable: known !== null };
}

/** All pack files, in order. */
async function findPacks(storage: Storage, packFolder: string): Promise<PackFile[]> {
  const files: PackFile[] = [];
  for (const name of await storage.list(packFolder)) {
    const number = packNumberOf(name);
    if (number === 0) continue;
    const path = `${packFolder}/${name}`;
    const file = await storage.open(path, 'read');
    try {
      const header = Buffer.alloc(PACK_HEADER_BYTES);
      const count = await file.read(header, 0);
      files.push({
        number,
        path,
        sizeBytes: file.sizeBytes(),
        nonce: decodePackHeader(header.subarray(0, count), number, path),
      });
    } finally {
      await file.close();
    }
  }
  return files;
}

function catalogOf(files: readonly PackFile[]): Catalog {
  const catalog = new Catalog();
  for (const { number, path, sizeBytes } of files)
    catalog.packs.set(number, { number, path, sizeBytes, liveBytes: 0, liveChunks: 0, pins: 0 });
  return catalog;
}

/** Replays the log; holds back what no mark has vouched for yet. */
class Scan {
  readonly #storage: Storage;
  readonly #catalog: Catalog;
  readonly #nonce: number;
  readonly #onDamage: DamageListener;
  readonly #key = newKey();
  #proven: LogPosition;
  #pending: Pending[] = [];
  readonly #headless: Pack[] = [];

  constructor(storage: Storage, catalog: Catalog, nonce: number, proven: LogPosition, onDamage: DamageListener) {
    this.#storage = storage;
    this.#catalog = catalog;
    this.#nonce = nonce;
    this.#proven = proven;
    this.#onDamage = onDamage;
  }

  async pack(pack: Pack, hasHeader: boolean, fromBytes: number): Promise<void> {
    if (!hasHeader) this.#headless.push(pack);
    const file = await this.#storage.open(pack.path, 'read');
    try {
      for await (const found of walkPack(file, pack.number, this.#nonce, Math.max(fromBytes, PACK_HEADER_BYTES))) {
        this.#pending.push({ pack, found });
        if (found.type === 'record' && found.header.kind === KIND.mark) this.#raise(found.payload!);
      }
    } finally {
      await file.close();
    }
  }

  /** Judges the part of the log that was never proven durable; true when there was none. */
  async finish(): Promise<boolean> {
    for (const pack of this.#headless) {
      if (this.#isProven(pack, 0))
        this.#onDamage({
          id: null,
          path: pack.path,
          positionBytes: 0,
          lengthBytes: PACK_HEADER_BYTES,
          kind: 'changed',
        });
    }
    const pending = this.#pending
      .splice(0)
      .filter(({ found }) => found.type !== 'record' || found.header.kind !== KIND.mark);
    // A pack with nothing but a header has no mark to vouch for it either.
    const bare = [...this.#catalog.packs.values()].filter(({ sizeBytes }) => sizeBytes <= PACK_HEADER_BYTES);
    const suspects = new Set([...pending.map(({ pack }) => pack), ...this.#headless, ...bare]);
    for (const pack of [...suspects].sort((a, b) => a.number - b.number)) {
      const file = await this.#storage.open(pack.path, 'write');
      try {
        file.writeSync(encodePackHeader(pack.number, this.#nonce), 0);
        for (const { found } of pending.filter((one) => one.pack === pack)) await this.#judge(pack, file, found);
        pack.sizeBytes = Math.max(pack.sizeBytes, PACK_HEADER_BYTES);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    return suspects.size === 0;
  }

  #raise(mark: Buffer): void {
    const proven = { pack: mark.readUInt32LE(0), positionBytes: mark.readUInt32LE(4) };
    if (compareLogPositions(proven, this.#proven) <= 0) return;
    this.#proven = proven;
    const first = this.#pending.findIndex(({ pack, found }) => !this.#isProven(pack, found.positionBytes));
    for (const { pack, found } of this.#pending.splice(0, first)) this.#believe(pack, found);
  }

  #isProven(pack: Pack, positionBytes: number): boolean {
    return compareLogPositions({ pack: pack.number, positionBytes }, this.#proven) < 0;
  }

  #believe(pack: Pack, found: Found): void {
    const { positionBytes } = found;
    if (found.type === 'record') this.#apply(pack, positionBytes, found.header, found.payload);
    else this.#onDamage({ id: null, path: pack.path, positionBytes, lengthBytes: found.lengthBytes, kind: 'changed' });
  }

  async #judge(pack: Pack, file: StorageFile, found: Found): Promise<void> {
    const { positionBytes } = found;
    if (found.type === 'rest') {
      await file.truncate(positionBytes);
      pack.sizeBytes = positionBytes;
      return;
    }
    if (found.type === 'hole') {
      this.#makeVoid(pack, file, positionBytes, found.lengthBytes);
      return;
    }
    if (found.header.kind === KIND.void) return;
    const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + found.header.lengthBytes);
    await file.read(record, positionBytes);
    if (isIdOf(found.header, blake3(record.subarray(RECORD_HEADER_BYTES)))) {
      await file.write([record], positionBytes);
      this.#apply(pack, positionBytes, found.header, found.payload);
    } else {
      this.#makeVoid(pack, file, positionBytes, record.length);
    }
  }

  #makeVoid(pack: Pack, file: StorageFile, positionBytes: number, lengthBytes: number): void {
    const header = Buffer.alloc(RECORD_HEADER_BYTES);
    encodeRecordHeader(header, 0, {
      kind: KIND.void,
      lengthBytes: lengthBytes - RECORD_HEADER_BYTES,
      pack: pack.number,
      id: '0'.repeat(64),
      disk: new Uint8Array(32),
      nonce: this.#nonce,
    });
    file.writeSync(header, positionBytes);
  }

  #apply(pack: Pack, positionBytes: number, header: RecordHeader, payload: Buffer | null): void {
    const { admissions } = this.#catalog;
    if (header.kind === KIND.chunk) {
      const disk = admissions.numberOf(idFromBytes<DiskId>(header.disk));
      const key = readKey(header.id, 0, this.#key);
      const known = this.#catalog.find(key);
      const set = admissions.with(known < 0 ? NOBODY : this.#catalog.setOf(known), disk);
      this.#catalog.place(key, pack.number, positionBytes + RECORD_HEADER_BYTES, header.lengthBytes, set);
    } else if (header.kind === KIND.drop) {
      this.#drop(payload!);
    } else if (header.kind === KIND.admit || header.kind === KIND.withdraw) {
      const disk = admissions.numberOf(idFromBytes<DiskId>(header.disk));
      for (let at = 0; at + KEY_BYTES <= payload!.length; at += KEY_BYTES) {
        const handle = this.#catalog.find(readKey(payload!, at, this.#key));
        if (handle < 0) continue;
        if (header.kind === KIND.admit) this.#catalog.admit(handle, disk);
        else this.#catalog.withdraw(handle, disk);
      }
    }
  }

  #drop(payload: Buffer): void {
    const places = new Map<number, Set<number>>();
    for (let at = 0; at + KEY_BYTES <= payload.length; at += KEY_BYTES) {
      const pack = payload.readUInt32LE(at);
      const positions = places.get(pack) ?? new Set<number>();
      places.set(pack, positions.add(payload.readUInt32LE(at + 4)));
    }
    for (const [pack, positions] of places) {
      for (const handle of this.#catalog.handlesInPack(pack)) {
        if (positions.has(this.#catalog.positionOf(handle))) this.#catalog.remove(handle);
      }
    }
  }
}

/** Takes out entries whose bytes are not there any more. Dead ones went with their pack; live ones are reported. */
function settleCatalog(catalog: Catalog, onDamage: DamageListener): void {
  for (let shard = 0; shard < catalog.shards.length; shard++) {
    for (const handle of catalog.handlesIn(shard)) {
      const positionBytes = catalog.positionOf(handle);
      const lengthBytes = catalog.lengthOf(handle);
      const pack = catalog.packs.get(catalog.packOf(handle));
      if (pack !== undefined && positionBytes + lengthBytes <= pack.sizeBytes) continue;
      if (catalog.isLive(handle)) {
        onDamage({
          id: null,
          path: pack?.path ?? packName(catalog.packOf(handle)),
          positionBytes,
          lengthBytes,
          kind: 'missing',
        });
      }
      catalog.remove(handle);
    }
  }
}
