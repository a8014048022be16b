/** Codecs and tables: golden bytes of packs and checkpoints, properties against a plain map, garbage. */
import { readFileSync } from 'node:fs';
import { blake3, type ChunkId, idFromBytes, type Storage } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { Catalog } from '../src/catalog.ts';
import { readCheckpoint } from '../src/checkpoint.ts';
import { IndexShard } from '../src/index-shard.ts';
import { keyOfId, newKey, readKey, writeKey } from '../src/key.ts';
import {
  decodePackHeader,
  decodeRecordHeader,
  encodePackHeader,
  encodeRecordHeader,
  KIND,
  packName,
  packNumberOf,
} from '../src/pack-format.ts';
import { admissionsOf, CHECKPOINT, type Chunk, DISK_A, DISK_B, onHost, openStore } from './support/fixture.ts';

interface Golden {
  readonly chunks: string[];
  readonly pack: string[];
  readonly checkpoint: string[];
}

const golden = JSON.parse(readFileSync(new URL('./fixtures/store-v1.json', import.meta.url), 'utf8')) as Golden;
const GOLDEN_CHUNKS: Chunk[] = golden.chunks.map((text) => {
  const bytes = Buffer.from(text, 'hex');
  return { id: idFromBytes<ChunkId>(blake3(bytes)), bytes };
});
const PACK = 'store/packs/00000001.pack';

async function hexOf(storage: Storage, path: string): Promise<string> {
  const bytes = Buffer.alloc((await storage.stat(path))!.sizeBytes);
  const file = await storage.open(path, 'read');
  await file.read(bytes, 0);
  await file.close();
  return bytes.toString('hex');
}

async function writeHex(storage: Storage, path: string, hex: string): Promise<void> {
  const file = await storage.open(path, 'create');
  await file.write([Buffer.from(hex, 'hex')], 0);
  await file.close();
}

test('two chunks, an admission, a withdrawal, a mark: the bytes of a pack and of a checkpoint', async (t) => {
  await onHost(1, async ({ storage }) => {
    const store = await openStore(storage);
    await store.putMany(GOLDEN_CHUNKS, DISK_A);
    store.admit(GOLDEN_CHUNKS[1]!.id, DISK_B);
    await store.remove(DISK_A, [GOLDEN_CHUNKS[1]!.id]);
    await store.close();
    t.is(await hexOf(storage, PACK), golden.pack.join(''));
    t.is(await hexOf(storage, CHECKPOINT), golden.checkpoint.join(''));
  });
});

test('the golden pack is read alone, and through the golden checkpoint', async (t) => {
  for (const withCheckpoint of [true, false]) {
    await onHost(2, async ({ storage }) => {
      await storage.makeFolder('store/packs');
      await writeHex(storage, PACK, golden.pack.join(''));
      if (withCheckpoint) await writeHex(storage, CHECKPOINT, golden.checkpoint.join(''));
      const store = await openStore(storage);
      t.deepEqual(admissionsOf(store, GOLDEN_CHUNKS), ['1: ab']);
      t.deepEqual(Buffer.from(await store.get(GOLDEN_CHUNKS[1]!.id)), GOLDEN_CHUNKS[1]!.bytes as Buffer);
      await store.close();
    });
  }
});

test('record headers survive a round trip; no other pack or nonce takes them', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(KIND.chunk, KIND.admit, KIND.withdraw, KIND.drop, KIND.mark, KIND.void),
      fc.nat(65536),
      fc.integer({ min: 1, max: 99_999_999 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (kind, lengthBytes, pack, id, disk, nonce) => {
        const bytes = Buffer.alloc(90);
        encodeRecordHeader(bytes, 3, { kind, lengthBytes, pack, id: Buffer.from(id).toString('hex'), disk, nonce });
        const header = decodeRecordHeader(bytes, 3, pack, nonce);
        t.deepEqual(
          { ...header, id: Uint8Array.from(header!.id), disk: Uint8Array.from(header!.disk) },
          { kind, lengthBytes, id, disk },
        );
        return (
          decodeRecordHeader(bytes, 3, pack + 1, nonce) === null &&
          decodeRecordHeader(bytes, 3, pack, (nonce ^ 1) >>> 0) === null
        );
      },
    ),
  );
});

test('garbage is no header', (t) => {
  const header = Buffer.alloc(84);
  encodeRecordHeader(header, 0, {
    kind: KIND.chunk,
    lengthBytes: 5,
    pack: 1,
    id: 'ab'.repeat(32),
    disk: new Uint8Array(32),
    nonce: 7,
  });
  for (let at = 0; at < 84; at++) {
    const changed = Buffer.from(header);
    changed[at]! ^= 1;
    t.is(decodeRecordHeader(changed, 0, 1, 7), null, `byte ${at}`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeRecordHeader(Buffer.from(bytes), 0, 1, 7) === null),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => decodePackHeader(Buffer.from(bytes), 1, 'x') === null),
  );
  const pack = encodePackHeader(9, 1234);
  t.is(decodePackHeader(pack, 9, 'x'), 1234);
  t.is(decodePackHeader(pack, 8, 'x'), null);
});

test('pack names hold numbers', (t) => {
  t.is(packName(7), '00000007.pack');
  t.is(packNumberOf('00000007.pack'), 7);
  for (const name of ['7.pack', '00000007.pack.new', 'x', '0000000a.pack', '00000000.pack'])
    t.is(packNumberOf(name), 0, name);
});

test('keys are the first half of an id, in hex and in bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const key = keyOfId(idFromBytes<ChunkId>(bytes), newKey());
      const written = Buffer.alloc(16);
      writeKey(key, written, 0);
      return written.equals(bytes.subarray(0, 16)) && readKey(Buffer.from(bytes), 0, newKey()).join() === key.join();
    }),
  );
  t.pass();
});

test('a part of the index is a map', (t) => {
  // Few distinct second words, so that probes run long and removals have something to shift.
  const word = fc.constantFrom(0, 1, 2, 3, 127, 126, 255, 2 ** 32 - 1);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('insert', 'insert', 'remove'), word, fc.nat(30)), { maxLength: 400 }),
      (steps) => {
        const shard = new IndexShard();
        const model = new Map<string, number>();
        for (const [step, [what, second, third]] of steps.entries()) {
          const key = Uint32Array.of(0, second, third, 0);
          const ordinal = shard.find(key);
          if (model.has(key.join()) !== ordinal >= 0) return false;
          if (ordinal >= 0 && shard.lengths[ordinal] !== model.get(key.join())) return false;
          if (what === 'insert' && ordinal < 0) {
            const added = shard.insert(key);
            shard.packs[added] = 1;
            shard.lengths[added] = step;
            model.set(key.join(), step);
          } else if (what === 'remove' && ordinal >= 0) {
            shard.remove(ordinal);
            model.delete(key.join());
          }
          if (shard.count !== model.size) return false;
        }
        return [...model].every(
          ([name, length]) => shard.lengths[shard.find(Uint32Array.from(name.split(',').map(Number)))] === length,
        );
      },
    ),
  );
  t.pass();
});

test('a hundred thousand chunks are found again, in little memory', (t) => {
  const catalog = new Catalog();
  const count = 100_000;
  const key = newKey();
  const fill = (index: number): void => {
    for (let part = 0; part < 4; part++) key[part] = Math.imul(index * 4 + part + 1, 2654435761) ^ (index >>> 3);
  };
  for (let index = 0; index < count; index++) {
    fill(index);
    catalog.place(key, 1 + (index >> 12), index, 65536, 0);
  }
  for (let index = 0; index < count; index++) {
    fill(index);
    if (catalog.positionOf(catalog.find(key)) !== index) return t.fail(`chunk ${index}`);
  }
  t.true(catalog.memoryBytes / count < 60, `${catalog.memoryBytes / count} bytes a chunk`);
});

test('no damaged checkpoint is believed', async (t) => {
  await onHost(3, async ({ storage }) => {
    await storage.makeFolder('store');
    const whole = Buffer.from(golden.checkpoint.join(''), 'hex');
    let refused = 0;
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 4;
      const path = `store/c${at}`;
      await writeHex(storage, path, changed.toString('hex'));
      if ((await readCheckpoint(storage, path, new Catalog())) === null) refused++;
    }
    t.is(refused, Math.ceil(whole.length / 7));
    for (const length of [0, 5, 12, 500, whole.length - 1]) {
      await writeHex(storage, `store/l${length}`, whole.subarray(0, length).toString('hex'));
      t.is(await readCheckpoint(storage, `store/l${length}`, new Catalog()), null, `${length} bytes`);
    }
  });
});
