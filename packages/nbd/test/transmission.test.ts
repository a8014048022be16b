/** The transmission phase, request by request: replies, flags, errors, holes. */
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { MemoryBacking } from './support/memory-backing.ts';
import { assemble, hex, TestClient } from './support/test-client.ts';

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const ZERO = 6;
const STATUS = 7;
const FUA = 1;

const MIB = 1 << 20;

function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) + seed) & 0xff);
}

function patterned(sizeBytes: number): MemoryBacking {
  const backing = new MemoryBacking(sizeBytes);
  backing.bytes.set(pattern(sizeBytes));
  return backing;
}

/** Lets everything that has settled run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const structured of [true, false]) {
  const kind = structured ? 'structured' : 'simple';

  test(`${kind}: reads of any size and alignment return the bytes`, (t) => {
    const backing = patterned(2 * MIB);
    const client = TestClient.in(backing, { structured });
    for (const [offset, length] of [
      [0, 1],
      [1, 511],
      [4095, 4098],
      [0, 262144],
      [100, 262144],
      [300_000, 1_000_003],
      [2 * MIB - 1, 1],
      [0, 2 * MIB],
    ] as const) {
      client.send({ command: READ, cookie: 7n, offset, length });
      client.drain();
      const replies = client.replies(new Map([[7n, length]]));
      const data = structured ? assemble(replies, offset, length) : replies[0]!.payload;
      t.is(Buffer.compare(data, backing.bytes.subarray(offset, offset + length)), 0, `${offset}+${length}`);
      t.true(replies.every((reply) => reply.cookie === 7n && reply.kind === kind));
    }
  });

  test(`${kind}: an absent read waits while later requests are answered`, async (t) => {
    const backing = patterned(MIB);
    backing.absentFrom = 8192;
    const client = TestClient.in(backing, { structured });
    client.send(
      { command: READ, cookie: 1n, offset: 8192, length: 4096 },
      { command: READ, cookie: 2n, offset: 0, length: 4096 },
    );
    const sizes = new Map([1n, 2n].map((cookie) => [cookie, 4096]));
    t.deepEqual(
      client.replies(sizes).map(({ cookie }) => cookie),
      [2n],
    );
    backing.heldReads[0]!.finish();
    await settle();
    const [reply] = client.replies(sizes);
    t.is(reply!.cookie, 1n);
    const data = structured ? assemble([reply!], 8192, 4096) : reply!.payload;
    t.deepEqual(data, pattern(MIB).subarray(8192, 12288));
  });

  test(`${kind}: a long read with absent parts in any order of arrival`, async (t) => {
    const backing = patterned(MIB);
    backing.absentFrom = 300_000;
    const client = TestClient.in(backing, { structured });
    client.send({ command: READ, cookie: 3n, offset: 1000, length: 900_000 });
    t.true(backing.heldReads.length > 1);
    for (const held of [...backing.heldReads].reverse()) held.finish();
    await settle();
    const replies = client.replies(new Map([[3n, 900_000]]));
    const data = structured ? assemble(replies, 1000, 900_000) : replies[0]!.payload;
    t.is(Buffer.compare(data, pattern(MIB).subarray(1000, 901_000)), 0);
  });

  test(`${kind}: a read that fails in one part is one error, after the other parts`, async (t) => {
    const backing = patterned(MIB);
    backing.absentFrom = 0;
    const client = TestClient.in(backing, { structured });
    client.send({ command: READ, cookie: 3n, offset: 0, length: 600_000 });
    const [first, second, third] = backing.heldReads;
    second!.finish(new DiskswarmError('READ_FAILED', 'the platter is gone'));
    first!.finish();
    await settle();
    t.false(client.replies().some((reply) => reply.done));
    third!.finish();
    await settle();
    const replies = client.replies();
    t.is(replies.length, 1);
    t.like(replies[0], { errno: 5, done: true, kind });
    if (structured) t.is(new TextDecoder().decode(replies[0]!.payload.subarray(6)), 'the platter is gone');
  });

  test(`${kind}: writes land and are acknowledged only after the commit`, (t) => {
    const backing = new MemoryBacking(MIB);
    const client = TestClient.in(backing, { structured });
    const data = pattern(10_000);
    client.send(
      { command: WRITE, cookie: 1n, offset: 5, data },
      { command: WRITE, cookie: 2n, offset: 20_480, data: data.subarray(0, 4096) },
    );
    t.deepEqual(backing.bytes.subarray(5, 10_005), data);
    t.is(backing.uncommitted, 0);
    t.is(backing.calls.filter((call) => call === 'commit').length, 1, 'one commit for the batch');
    t.is(client.sends, 1, 'one send for the batch');
    t.deepEqual(
      client.replies().map(({ cookie, errno }) => [cookie, errno]),
      [
        [1n, 0],
        [2n, 0],
      ],
    );
  });

  test(`${kind}: a commit that fails turns the batch into errors`, (t) => {
    const backing = new MemoryBacking(MIB);
    backing.commitFails = new DiskswarmError('WRITE_FAILED', 'fsync said no');
    const client = TestClient.in(backing, { structured });
    client.send(
      { command: WRITE, cookie: 1n, data: pattern(4096) },
      { command: TRIM, cookie: 2n, flags: FUA, offset: 4096, length: 4096 },
    );
    t.deepEqual(
      client.replies().map(({ cookie, errno }) => [cookie, errno]),
      [
        [1n, 5],
        [2n, 5],
      ],
    );
    t.false(backing.calls.includes('flush'));
  });

  test(`${kind}: requests out of range, too long, or with unknown flags fail and the session goes on`, (t) => {
    const backing = new MemoryBacking(MIB);
    const client = TestClient.in(backing, { structured });
    const errnoOf = (request: Parameters<TestClient['send']>[0]): number => {
      client.send({ cookie: 9n, ...request });
      const replies = client.replies();
      t.is(replies.length, 1);
      return replies[0]!.errno;
    };
    const page = pattern(4096);
    t.is(errnoOf({ command: READ, offset: MIB - 1, length: 2 }), 22);
    t.is(errnoOf({ command: READ, offset: 0xffff_ffff_ffff_ffffn, length: 4096 }), 22);
    t.is(errnoOf({ command: WRITE, offset: MIB - 4095, data: page }), 28);
    t.is(errnoOf({ command: ZERO, offset: MIB, length: 1 }), 28);
    t.is(errnoOf({ command: TRIM, offset: MIB, length: 1 }), 22);
    t.is(errnoOf({ command: CACHE, offset: MIB, length: 1 }), 22);
    t.is(errnoOf({ command: READ, flags: 0x100, length: 16 }), 22);
    t.is(errnoOf({ command: WRITE, flags: 2, data: page }), 22);
    t.is(errnoOf({ command: FLUSH, flags: 4 }), 22);
    t.is(errnoOf({ command: FLUSH, length: 1 }), 22);
    t.is(errnoOf({ command: 8 }), 22);
    t.is(errnoOf({ command: 0xffff, length: 77 }), 22);
    t.is(errnoOf({ command: STATUS, length: 4096 }), 22, 'no context was selected');
    t.is(errnoOf({ command: READ, flags: 4, length: 300_000 }), structured ? 75 : 22, 'DF');
    t.deepEqual(backing.calls, []);
    t.deepEqual(backing.bytes, new Uint8Array(MIB));
    client.send({ command: READ, cookie: 1n, length: 16 });
    t.is(client.replies(new Map([[1n, 16]])).length, 1);
  });

  test(`${kind}: empty requests succeed and do nothing`, async (t) => {
    const backing = new MemoryBacking(4096);
    const client = TestClient.in(backing, { structured });
    for (const command of [READ, WRITE, TRIM, ZERO, CACHE]) client.send({ command, cookie: BigInt(command) });
    await settle();
    const replies = client.replies();
    t.deepEqual(
      replies.map(({ errno, done }) => [errno, done]),
      [1, 2, 3, 4, 5].map(() => [0, true]),
    );
    t.false(backing.calls.some((call) => call.startsWith('write') || call.startsWith('trim')));
  });
}

test('a payload beyond the maximum is skipped as it arrives', (t) => {
  const backing = new MemoryBacking(64 * MIB);
  const client = TestClient.in(backing);
  client.push(new Uint8Array(Buffer.from(`25609513${'0000'}0001${'00'.repeat(7)}04${'00'.repeat(8)}02000001`, 'hex')));
  for (let sent = 0; sent < 32 * MIB + 1; sent += MIB) {
    client.push(new Uint8Array(Math.min(MIB, 32 * MIB + 1 - sent)));
  }
  t.like(client.replies(), [{ cookie: 4n, errno: 22 }]);
  t.deepEqual(backing.calls, []);
});

test('a read-only export refuses every change with EPERM', (t) => {
  const backing = new MemoryBacking(8192);
  backing.readOnly = true;
  const client = TestClient.in(backing);
  client.send({ command: WRITE, data: pattern(4096) }, { command: TRIM, length: 1 }, { command: ZERO, length: 1 });
  t.deepEqual(
    client.replies().map(({ errno }) => errno),
    [1, 1, 1],
  );
});

for (const [code, data, errno] of [
  ['DISK_FULL', {}, 28],
  ['ATTACHMENT_STATE', { state: 'held' }, 1],
  ['ATTACHMENT_STATE', { state: 'fenced' }, 108],
  ['READ_FAILED', {}, 5],
  ['CHUNK_NOT_FOUND', {}, 5],
] as const) {
  test(`${code} ${JSON.stringify(data)} is errno ${errno}`, (t) => {
    const backing = new MemoryBacking(8192);
    const client = TestClient.in(backing);
    backing.failing = new DiskswarmError(code, 'because', { data });
    client.send({ command: READ, length: 512 }, { command: WRITE, data: pattern(100) });
    const replies = client.replies();
    t.deepEqual(
      replies.map((reply) => reply.errno),
      [errno, errno],
    );
    t.is(new TextDecoder().decode(replies[0]!.payload.subarray(6)), 'because');
    t.deepEqual(client.defects, []);
  });
}

test('a defect of the backing is EIO for the client and reported', (t) => {
  const backing = new MemoryBacking(8192);
  const client = TestClient.in(backing);
  backing.failing = new TypeError('undefined is not a disk');
  client.send({ command: READ, length: 512 });
  t.is(client.replies()[0]!.errno, 5);
  t.deepEqual(client.defects, [backing.failing]);
});

test('zeros travel as holes, except with DF', (t) => {
  const backing = new MemoryBacking(MIB);
  backing.bytes[600_000] = 1;
  const client = TestClient.in(backing);
  client.send({ command: READ, cookie: 1n, length: MIB });
  const replies = client.replies();
  t.deepEqual(
    replies.map(({ type }) => type),
    [2, 2, 1, 2],
  );
  t.is(Buffer.compare(assemble(replies, 0, MIB), backing.bytes), 0);
  client.send({ command: READ, cookie: 1n, flags: 4, length: 65536 });
  t.like(client.replies(), [{ type: 1, done: true }]);
});

test('FLUSH and FUA wait for the disk, and flushes that meet share one', async (t) => {
  const backing = new MemoryBacking(MIB);
  backing.holdFlushes = true;
  const client = TestClient.in(backing);
  client.send(
    { command: WRITE, cookie: 1n, data: pattern(4096) },
    { command: WRITE, cookie: 2n, flags: FUA, offset: 4096, data: pattern(4096) },
    { command: FLUSH, cookie: 3n },
  );
  t.deepEqual(
    client.replies().map(({ cookie }) => cookie),
    [1n],
  );
  t.deepEqual(backing.calls.slice(-2), ['commit', 'flush']);
  client.send({ command: FLUSH, cookie: 4n });
  client.send({ command: ZERO, cookie: 5n, flags: FUA, length: 4096 });
  t.is(backing.heldFlushes.length, 1, 'one runs, the others wait for the next');
  backing.heldFlushes[0]!.finish();
  await settle();
  t.deepEqual(
    client.replies().map(({ cookie }) => cookie),
    [2n, 3n],
  );
  t.is(backing.heldFlushes.length, 2);
  backing.heldFlushes[1]!.finish(new DiskswarmError('WRITE_FAILED', 'no'));
  await settle();
  t.deepEqual(
    client.replies().map(({ cookie, errno }) => [cookie, errno]),
    [
      [4n, 5],
      [5n, 5],
    ],
  );
});

test('TRIM, WRITE_ZEROES with NO_HOLE and FAST_ZERO, and CACHE reach the backing', (t) => {
  const backing = patterned(MIB);
  const client = TestClient.in(backing);
  client.send(
    { command: TRIM, cookie: 1n, offset: 0, length: 4096 },
    { command: ZERO, cookie: 2n, flags: 2, offset: 4096, length: 4096 },
    { command: ZERO, cookie: 3n, flags: 16, offset: 8192, length: 4096 },
    { command: CACHE, cookie: 4n, offset: 65536, length: 65536 },
  );
  t.deepEqual(backing.calls, [
    'trim 0+4096',
    'zero 4096+4096 kept',
    'zero 8192+4096',
    'prefetch 65536+65536',
    'commit',
  ]);
  t.deepEqual(backing.bytes.subarray(0, 12288), new Uint8Array(12288));
  t.is(client.replies().filter(({ errno }) => errno === 0).length, 4);
});

test('block status answers every selected context, and one extent for REQ_ONE', async (t) => {
  const client = TestClient.in(new MemoryBacking(MIB), { contexts: ['base:allocation', 'diskswarm:presence'] });
  client.send({ command: STATUS, cookie: 1n, offset: 4096, length: 8192 });
  await settle();
  t.deepEqual(
    client.replies().map(({ type, done, payload }) => [type, done, hex(payload)]),
    [
      [5, false, '00000001' + '00001000' + '00000000' + '00001000' + '00000003'],
      [5, true, '00000002' + '00001000' + '00000000' + '00001000' + '00000001'],
    ],
  );
  client.send({ command: STATUS, cookie: 2n, flags: 8, length: 8192 });
  await settle();
  t.deepEqual(
    client.replies().map(({ payload }) => payload.length),
    [12, 12],
  );
  client.send({ command: STATUS, cookie: 3n, length: 0 }, { command: STATUS, cookie: 4n, offset: MIB, length: 1 });
  t.deepEqual(
    client.replies().map(({ errno }) => errno),
    [22, 22],
  );
});

test('a wrong request magic drops the connection', (t) => {
  const client = TestClient.in(new MemoryBacking(4096));
  client.push(new Uint8Array(28));
  t.true(client.ended);
});

test('DISC lets outstanding requests finish, ignores what follows, and ends once', async (t) => {
  const backing = patterned(8192);
  backing.absentFrom = 0;
  const client = TestClient.in(backing);
  client.send(
    { command: READ, cookie: 1n, length: 4096 },
    { command: DISC },
    { command: WRITE, cookie: 2n, data: pattern(16) },
  );
  t.false(client.ended);
  backing.heldReads[0]!.finish();
  await settle();
  t.true(client.ended);
  t.deepEqual(
    client.replies().map(({ cookie }) => cookie),
    [1n],
  );
  t.deepEqual(backing.calls, []);
});
