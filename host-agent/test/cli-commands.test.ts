/** What commands ask of the agent and what they print, for people and for programs. */
import fs from 'node:fs';
import { parseAnnounceResponse } from '@diskswarm/announce';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import type { AgentStatus, DiskStatus } from '../src/control/methods.ts';
import { finished, Home, linesOf } from './support/cli-process.ts';
import { fakeAgent, makeDisk } from './support/fake-agent.ts';

const { info, keys } = makeDisk();
const percentiles = { p50: 3200, p90: 5000, p99: 80_000, max: 90_000 };
const none = { p50: 0, p90: 0, p99: 0, max: 0 };

const status: AgentStatus = {
  hostId: keys.hostId,
  listen: '127.0.0.1:6970',
  trackers: [{ url: 'http://127.0.0.1:1/announce', ok: false, message: 'does not answer' }],
  disks: [
    {
      ...info,
      faults: {
        count: 2,
        latencyUs: { ...percentiles, queue: none, network: percentiles, verify: none, store: none },
        bySource: { [keys.hostId]: { count: 2, ...percentiles } },
      },
      bytesBySource: { [keys.hostId]: 131_072 },
      faultBytes: 131_072,
      backgroundBytes: 0,
      touchedPieces: 12,
      peers: [
        {
          hostId: keys.hostId,
          address: '127.0.0.1:5',
          lanes: 2,
          rates: { receiveBytesPerSecond: 2048, sendBytesPerSecond: 0 },
          piecesClaimed: 384,
        },
      ],
    } satisfies DiskStatus,
  ],
};

test.serial('each command asks for what its words say, and prints the whole answer as JSON', async (t) => {
  const home = new Home(t);
  const asked: [string, unknown][] = [];
  const note =
    <Result>(method: string, result: Result) =>
    async (params: unknown): Promise<Result> => {
      asked.push([method, params]);
      return result;
    };
  const attachment = {
    uri: 'nbd+unix:///debian?socket=/s',
    socket: '/s',
    exportName: 'debian',
    state: 'writable' as const,
    readOnly: false,
    clients: 0,
  };
  await fakeAgent(t, home.state, {
    'disk.info': note('info', info),
    'disk.history': note('history', { generations: [] }),
    'disk.rm': note('rm', { name: 'debian', removed: true as const }),
    'disk.attach': note('attach', attachment),
    'disk.detach': note('detach', { name: 'debian', detached: true as const }),
    'disk.seal': note('seal', { generationId: 'ab', sequence: 2, epoch: 1, root: 'cd', changedPieces: 3 }),
    'disk.handover': note('handover', { epoch: 2, ownerHostId: keys.hostId, sequence: 2 }),
    'disk.take': note('take', { epoch: 2, ownerHostId: keys.hostId, sequence: 2 }),
    'disk.join': note('join', info),
    'disk.wait': note('wait', info),
    'disk.export': note('export', { path: '/x', sequence: 1, sizeBytes: 512 }),
    'peer.ls': note('peers', { peers: [] }),
    'peer.unban': note('unban', { hostId: keys.hostId, unbanned: true }),
    status: note('status', status),
    'store.stats': note('stats', { chunks: 1, bytes: 2, packs: 3, packBytes: 4, deadBytes: 5 }),
  });
  const cases: [string, string, unknown, object][] = [
    ['disk info debian', 'info', { name: 'debian' }, info],
    ['disk history debian', 'history', { name: 'debian' }, { generations: [] }],
    ['disk rm debian', 'rm', { name: 'debian', force: false }, { removed: true }],
    ['disk attach debian', 'attach', { name: 'debian', readOnly: false, socket: null }, attachment],
    [
      'disk attach debian --read-only --socket s',
      'attach',
      { name: 'debian', readOnly: true, socket: `${fs.realpathSync(home.folder)}/s` },
      attachment,
    ],
    ['disk detach debian', 'detach', { name: 'debian' }, { detached: true }],
    ['disk seal debian', 'seal', { name: 'debian' }, { sequence: 2, epoch: 1, root: 'cd', changedPieces: 3 }],
    [`disk handover debian --to ${keys.hostId}`, 'handover', { name: 'debian', to: keys.hostId }, { epoch: 2 }],
    ['disk take debian', 'take', { name: 'debian' }, { ownerHostId: keys.hostId }],
    ['disk join dsw1abc --name mine', 'join', { invitation: 'dsw1abc', name: 'mine' }, info],
    ['disk wait debian --sequence 3 --timeout 1.5', 'wait', { name: 'debian', sequence: 3, timeoutSeconds: 1.5 }, info],
    ['disk wait debian --complete', 'wait', { name: 'debian', complete: true, timeoutSeconds: null }, info],
    ['disk wait debian --safe', 'wait', { name: 'debian', safe: true, timeoutSeconds: null }, info],
    [
      'disk export debian@1 /x/y.qcow2',
      'export',
      { name: 'debian', sequence: 1, path: '/x/y.qcow2', format: 'qcow2' },
      { sequence: 1 },
    ],
    [
      'disk export debian /x/y.raw',
      'export',
      { name: 'debian', sequence: null, path: '/x/y.raw', format: 'raw' },
      { sizeBytes: 512 },
    ],
    ['peer ls', 'peers', {}, { peers: [] }],
    [`peer unban ${keys.hostId}`, 'unban', { hostId: keys.hostId }, { unbanned: true }],
    ['status', 'status', {}, status],
    ['store stats', 'stats', {}, { deadBytes: 5 }],
  ];
  for (const [line, method, params, result] of cases) {
    t.like(await home.json(line.split(' ')), { code: 0, ...result } as never, line);
    t.deepEqual(asked.at(-1), [method, params], line);
  }
  const joined = await home.json(['disk', 'join', '-'], { stdin: '  dsw1fromstdin\n' });
  t.is(joined.code, 0);
  t.deepEqual(asked.at(-1), ['join', { invitation: 'dsw1fromstdin', name: null }]);
  t.is((await home.run(['disk', 'attach', 'debian'])).stdout, `${attachment.uri}\n`);
});

test.serial('people read plain words', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, {
    'disk.ls': async () => ({ disks: [info] }),
    'disk.info': async () => info,
    status: async () => status,
  });
  const list = (await home.run(['disk', 'ls'])).stdout.split('\n');
  t.regex(list[0] ?? '', /^NAME +SIZE +GENERATION/);
  t.regex(list[1] ?? '', /^debian +1G +1 +1 +[0-9a-f]{8} +writer +25% +not attached$/);
  t.regex(
    (await home.run(['disk', 'info', 'debian'])).stdout,
    /keep this host running: no other host has generation 1/,
  );
  const words = (await home.run(['status'])).stdout;
  for (const part of [
    'does not answer',
    '25% of its data is here, 18M are missing',
    '2 reads waited for another host: 3.2 ms typically',
    '128K from',
    'in 2K/s, out 0/s, has 384 pieces',
    'this host owns it',
  ]) {
    t.true(words.includes(part), `${part}\n${words}`);
  }
});

test.serial('pull prints progress and then the result, one object per line; people see lines on stderr', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, {
    'disk.pull': async (_, { emit }) => {
      for (const doneBytes of [0, 1 << 20, 2 << 20]) {
        emit({ event: 'progress', doneBytes, totalBytes: 2 << 20, bytesPerSecond: 1 << 20, secondsLeft: 1 });
      }
      return { ...info, piecesPresent: 384 };
    },
  });
  const { code, stdout } = await home.run(['disk', 'pull', 'debian', '--json']);
  t.is(code, 0);
  const objects = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(
    objects.map(({ event }) => event),
    ['progress', 'progress', 'progress', 'result'],
  );
  t.is(objects[1].doneBytes, 1 << 20);
  t.like(objects[3], { ...info, piecesPresent: 384 } as never);
  const plain = await home.run(['disk', 'pull', 'debian']);
  t.is(plain.stdout, 'debian: generation 1 is complete\n');
  t.regex(plain.stderr, /pull debian: 1M of 2M, 1M\/s, 1 s left/);
});

test.serial("the agent's errors end with 1, with data; damaged chunks keep their counts", async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, {
    'disk.wait': async () => {
      throw new DiskswarmError('TIMEOUT', 'not in 1 s', { data: { timeoutSeconds: 1 } });
    },
    'store.verify': async () => ({ chunks: 10, bytes: 655_360, corrupt: ['ab'.repeat(32)] }),
  });
  const waited = await home.json(['disk', 'wait', 'debian', '--safe', '--timeout', '1']);
  t.deepEqual(waited, { code: 1, error: { code: 'TIMEOUT', message: 'not in 1 s', data: { timeoutSeconds: 1 } } });
  const verified = await home.json(['store', 'verify']);
  t.like(verified, { code: 1, chunks: 10, corrupt: ['ab'.repeat(32)], error: { code: 'CHUNK_CORRUPT' } });
  const plain = await home.run(['disk', 'wait', 'debian', '--safe']);
  t.is(plain.stderr, 'diskswarm: not in 1 s (TIMEOUT)\n');
});

test.serial('a watch prints an object a second and ends well with SIGINT', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, { status: async () => status });
  const child = home.spawn(['status', '--watch', '--json']);
  const next = linesOf(child);
  const end = finished(child);
  for (let count = 0; count < 2; count++) t.is(JSON.parse((await next()) ?? '{}').hostId, keys.hostId);
  child.kill('SIGINT');
  t.is((await end).code, 0);
});

test.serial('SIGINT gives a waiting command up, and the agent learns of it', async (t) => {
  const home = new Home(t);
  const started = Promise.withResolvers<void>();
  const given = Promise.withResolvers<void>();
  await fakeAgent(t, home.state, {
    'disk.wait': (_, { signal }) => {
      started.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          given.resolve();
          reject(new DiskswarmError('ABORTED', 'given up'));
        });
      });
    },
  });
  const child = home.spawn(['disk', 'wait', 'debian', '--safe', '--json']);
  const end = finished(child);
  await started.promise;
  child.kill('SIGINT');
  const { code, stdout } = await end;
  t.is(code, 1);
  t.is(JSON.parse(stdout).error.code, 'ABORTED');
  await given.promise;
});

test.serial('the tracker says where it is, serves, and ends with 0 on SIGTERM', async (t) => {
  const home = new Home(t);
  const child = home.spawn(['tracker', '--listen', '127.0.0.1:0', '--json']);
  const next = linesOf(child);
  const end = finished(child);
  const ready = JSON.parse((await next()) ?? '{}');
  t.is(ready.event, 'ready');
  t.regex(ready.listen, /^127\.0\.0\.1:\d+$/);
  const query = `info_hash=${'a'.repeat(20)}&peer_id=${'b'.repeat(20)}`;
  const announce = async (port: number): Promise<readonly string[]> => {
    const response = await fetch(`http://${ready.listen}/announce?${query}&port=${port}`);
    return parseAnnounceResponse(new Uint8Array(await response.arrayBuffer())).peers;
  };
  t.deepEqual(await announce(7001), []);
  t.deepEqual(await announce(7002), ['127.0.0.1:7001']);
  const second = await home.json(['tracker', '--listen', ready.listen]);
  t.like(second, { code: 1, error: { code: 'ADDRESS_UNAVAILABLE' } });
  child.kill('SIGTERM');
  t.is((await end).code, 0);
});

test.serial('a tracker with a store knows after a restart who was there, and holds its folder alone', async (t) => {
  const home = new Home(t);
  const store = `${home.state}-tracker`;
  const args = ['tracker', '--listen', '127.0.0.1:0', '--udp', '127.0.0.1:0', '--store', store, '--json'];
  const run = async () => {
    const child = home.spawn(args);
    const ready = JSON.parse((await linesOf(child)()) ?? '{}');
    return { child, ready, end: finished(child) };
  };
  const query = `info_hash=${'a'.repeat(20)}&peer_id=${'b'.repeat(20)}`;
  const first = await run();
  t.regex(first.ready.udpAnnounceUrl, /^udp:\/\/127\.0\.0\.1:\d+\/announce$/);
  await fetch(`${first.ready.announceUrl}?${query}&port=7001`);
  t.like(await home.json(args.slice(0, -1)), { code: 1, error: { code: 'AGENT_ALREADY_RUNNING' } });
  first.child.kill('SIGTERM');
  t.is((await first.end).code, 0);
  const second = await run();
  const response = await fetch(`${second.ready.announceUrl}?${query}&port=7002`);
  t.deepEqual(parseAnnounceResponse(new Uint8Array(await response.arrayBuffer())).peers, ['127.0.0.1:7001']);
  second.child.kill('SIGTERM');
  t.is((await second.end).code, 0);
  const elsewhere = await home.json(['tracker', '--store', 'postgres://me:hunter2@127.0.0.1']);
  t.like(elsewhere, { code: 2, error: { code: 'INVALID_ARGUMENT' } });
  t.notRegex(JSON.stringify(elsewhere), /hunter2/);
});

test.serial('a reader that goes away early is no failure', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, { status: async () => status });
  const child = home.spawn(['status', '--watch']);
  const next = linesOf(child);
  await next();
  child.stdout.destroy();
  t.is(await new Promise((resolve) => child.on('exit', resolve)), 0);
});
