/** What a tracker knows after a restart, however the one before it ended. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AnnounceRequest,
  buildAnnounceUrl,
  packPeer,
  parseAnnounceResponse,
  unpackPeers,
} from '@diskswarm/announce';
import { type Clock, DiskswarmError, type Storage, type Timer } from '@diskswarm/core';
import { FolderStorage, systemClock, systemRandom } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { decodeChanges, encodeChange, LARGEST_CHANGE_BYTES } from '../src/change-record.ts';
import { PeerJournal } from '../src/peer-journal.ts';
import { startTracker, type Tracker } from '../src/server.ts';
import { type Change, SwarmTable } from '../src/swarm-table.ts';

const A = 'aa'.repeat(20);
const B = 'bb'.repeat(20);

function ask(infoHash: string, more: Partial<AnnounceRequest> = {}): AnnounceRequest {
  const empty = { uploadedBytes: 0, downloadedBytes: 0, leftBytes: 1, event: 'none', peersWanted: 200 } as const;
  return { infoHash, peerId: new Uint8Array(20), port: 1, ...empty, ...more };
}

async function makeFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dstracker-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Timers that fire when told to. */
class HandClock implements Clock {
  timers = new Set<() => void>();
  nowUs(): number {
    return 5e6;
  }
  wallMs(): number {
    return 0;
  }
  setTimer(_: number, callback: () => void): Timer {
    this.timers.add(callback);
    return { cancel: () => this.timers.delete(callback) };
  }
  fire(): void {
    const due = [...this.timers];
    this.timers.clear();
    for (const callback of due) callback();
  }
}

async function open(storage: Storage): Promise<{ table: SwarmTable; journal: PeerJournal; clock: HandClock }> {
  const clock = new HandClock();
  const table = new SwarmTable({ clock, random: systemRandom });
  return { table, journal: await PeerJournal.open(storage, table, clock), clock };
}

/** All that a table knows, as text. */
function known(table: SwarmTable): string[] {
  return [...table.changes()]
    .map((change) => {
      if (change.kind === 'completed') return `${change.infoHash} completed ${change.count}`;
      const peers = unpackPeers(change.peer, change.peer.length === 6 ? 4 : 6, 1);
      return `${change.infoHash} ${peers[0]} ${change.kind === 'joined' && change.seeder}`;
    })
    .sort();
}

test('hosts find each other at a tracker that was restarted, and those who left stay away', async (t) => {
  const storage = new FolderStorage(await makeFolder(t));
  const start = (): Promise<Tracker> =>
    startTracker({ listen: '127.0.0.1:0', clock: systemClock, random: systemRandom, storage });
  const announce = async (tracker: Tracker, more: Partial<AnnounceRequest>): Promise<readonly string[]> => {
    const response = await fetch(buildAnnounceUrl(tracker.announceUrl, ask(A, more)));
    return parseAnnounceResponse(new Uint8Array(await response.arrayBuffer())).peers;
  };
  const before = await start();
  await announce(before, { port: 7001 });
  await announce(before, { port: 7002, leftBytes: 0, event: 'completed' });
  await announce(before, { port: 7003 });
  await announce(before, { port: 7003, event: 'stopped' });
  await before.stop();
  const after = await start();
  t.teardown(() => after.stop());
  t.deepEqual(after.counts, { swarms: 1, peers: 2 });
  t.deepEqual([...(await announce(after, { port: 7004 }))].sort(), ['127.0.0.1:7001', '127.0.0.1:7002']);
  t.like(await (await fetch(`http://${after.listen}/stats`)).json(), { peers: 3, journal: true });
});

test('what was handed over outlives the death of the process; what is collected is handed over in a moment', async (t) => {
  const storage = new FolderStorage(await makeFolder(t));
  const { table, clock } = await open(storage);
  table.announce(ask(A), packPeer('10.0.0.1:1'));
  table.announce(ask(A, { leftBytes: 0, event: 'completed' }), packPeer('[2001:db8::1]:1'));
  table.announce(ask(B), packPeer('10.0.0.1:1'));
  clock.fire();
  table.announce(ask(B), packPeer('10.0.0.2:1'));
  // Nobody closes it: the next one opens what is there.
  const next = await open(storage);
  t.is(next.table.peerCount, 3);
  t.is(next.table.scrape([A]).get(A)?.completed, 1);
  await next.journal.close();
});

test('a journal that grew is rewritten while announces go on, and says the same afterwards', async (t) => {
  const folder = await makeFolder(t);
  const storage = new FolderStorage(folder);
  const { table, journal } = await open(storage);
  for (let round = 0; round < 600; round++) {
    for (let port = 1; port <= 400; port++)
      table.announce(ask(A, { leftBytes: round % 2 }), packPeer(`10.0.0.1:${port}`));
    if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await journal.close();
  t.true((await readFile(join(folder, 'tracker.journal'))).length < 3 * 2 ** 20);
  const next = await open(storage);
  t.deepEqual(known(next.table), known(table));
  await next.journal.close();
});

test('a full disk only makes it fall behind, and room mends it', async (t) => {
  const real = new FolderStorage(await makeFolder(t));
  let full = false;
  const storage = new Proxy(real, {
    get(target, name) {
      if (name !== 'open') return Reflect.get(target, name).bind(target);
      return async (...args: Parameters<Storage['open']>) => {
        const file = await target.open(...args);
        const guard =
          (write: unknown) =>
          (...more: unknown[]): unknown => {
            if (full) throw new DiskswarmError('DISK_FULL', 'full', { data: { path: file.path } });
            return (write as (...all: unknown[]) => unknown).apply(file, more);
          };
        return new Proxy(file, {
          get(inner, key) {
            const value = Reflect.get(inner, key, inner);
            if (key === 'writeSync' || key === 'write') return guard(value);
            return typeof value === 'function' ? value.bind(inner) : value;
          },
        });
      };
    },
  });
  const { table, journal, clock } = await open(storage);
  table.announce(ask(A), packPeer('10.0.0.1:1'));
  clock.fire();
  t.true(journal.ok);
  full = true;
  table.announce(ask(A), packPeer('10.0.0.2:1'));
  clock.fire();
  t.false(journal.ok);
  table.announce(ask(A, { event: 'stopped' }), packPeer('10.0.0.1:1'));
  clock.fire();
  full = false;
  for (let turn = 0; turn < 10_000 && !journal.ok; turn++) {
    clock.fire();
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(journal.ok);
  await journal.close();
  const next = await open(real);
  t.deepEqual(known(next.table), [`${A} 10.0.0.2:1 false`]);
  await next.journal.close();
});

test('a damaged journal is put aside, and what could be read of it is known and kept', async (t) => {
  const folder = await makeFolder(t);
  const storage = new FolderStorage(folder);
  const first = await open(storage);
  for (const round of [1, 2, 3]) {
    first.table.announce(ask(A), packPeer(`10.0.0.${round}:1`));
    first.clock.fire();
  }
  await first.journal.close();
  const path = join(folder, 'tracker.journal');
  const bytes = await readFile(path);
  bytes[bytes.indexOf(Buffer.from('0a000003', 'hex'))]! ^= 0xff;
  await writeFile(path, bytes);
  const second = await open(storage);
  t.is(second.table.peerCount, 2);
  await second.journal.close();
  t.deepEqual(await readFile(`${path}.damaged`), bytes);
  const third = await open(storage);
  t.is(third.table.peerCount, 2);
  await third.journal.close();
});

test('changes come back from their bytes, and other bytes are refused', (t) => {
  const infoHash = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const peer = fc.oneof(...[6, 18].map((length) => fc.uint8Array({ minLength: length, maxLength: length })));
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant('joined' as const), infoHash, peer, seeder: fc.boolean() }),
    fc.record({ kind: fc.constant('left' as const), infoHash, peer }),
    fc.record({ kind: fc.constant('completed' as const), infoHash, count: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const record = Buffer.alloc(changes.length * LARGEST_CHANGE_BYTES);
      let length = 0;
      for (const one of changes) length += encodeChange(one, record, length);
      t.deepEqual([...decodeChanges(new Uint8Array(record.subarray(0, length)))], changes);
      if (length > 0) t.throws(() => [...decodeChanges(record.subarray(0, length - 1))], { code: 'FORMAT_INVALID' });
    }),
  );
  for (const kind of [0, 4, 9, 255])
    t.throws(() => [...decodeChanges(Uint8Array.of(kind, ...new Uint8Array(60)))], { code: 'FORMAT_INVALID' });
});
