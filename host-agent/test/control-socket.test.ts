/** The control socket as its clients meet it: order, bounds, cancellation, an end that leaves nobody waiting. */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { callAgent } from '../src/control/client.ts';
import { lineSplitter } from '../src/control/line-protocol.ts';
import { type ControlHandlers, MAX_REQUESTS_PER_CONNECTION, serveControl } from '../src/control/server.ts';

function temporaryFolder(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ds-control-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Serves only what a test gives; anything else is a defect of the test. */
async function serve(
  t: ExecutionContext,
  handlers: Partial<ControlHandlers>,
  dir = temporaryFolder(t),
): Promise<{ dir: string; path: string; defects: unknown[]; stop(): Promise<void> }> {
  const defects: unknown[] = [];
  const server = await serveControl({
    path: path.join(dir, 'control.sock'),
    handlers: handlers as ControlHandlers,
    onDefect: (error) => defects.push(error),
  });
  t.teardown(() => server.stop());
  return { dir, path: server.path, defects, stop: () => server.stop() };
}

/** Sends raw bytes and collects answers until the server closes or `count` arrived. */
function raw(
  socketPath: string,
  bytes: string | Uint8Array,
  count = Number.POSITIVE_INFINITY,
): Promise<{ id: number | null; result?: unknown; error?: { code: string; data: Record<string, unknown> } }[]> {
  return new Promise((resolve, reject) => {
    const answers: never[] = [];
    const socket = net.connect(socketPath, () => socket.write(bytes));
    const split = lineSplitter(1 << 26, (line) => {
      answers.push(JSON.parse(line) as never);
      if (answers.length === count) socket.destroy();
    });
    socket.on('data', split);
    socket.on('error', reject);
    socket.on('close', () => resolve(answers));
  });
}

test('a request gets its events in order and then its result; the socket is for the user alone', async (t) => {
  const { dir, path: socketPath } = await serve(t, {
    'disk.pull': async ({ name }, { emit }) => {
      for (const doneBytes of [1, 2, 3]) {
        emit({ event: 'progress', doneBytes, totalBytes: 3, bytesPerSecond: 1, secondsLeft: null });
      }
      return { name } as never;
    },
  });
  t.is(fs.statSync(socketPath).mode & 0o777, 0o600);
  const seen: number[] = [];
  const result = await callAgent(dir, 'disk.pull', { name: 'a' }, { onEvent: ({ doneBytes }) => seen.push(doneBytes) });
  t.deepEqual(seen, [1, 2, 3]);
  t.is(result.name, 'a');
});

test("an agent's error arrives with code, message and data; a defect as INTERNAL", async (t) => {
  const { dir, defects } = await serve(t, {
    'disk.info': async ({ name }) => {
      throw new DiskswarmError('DISK_NOT_FOUND', `no disk ${name}`, { data: { name } });
    },
    'disk.ls': async () => {
      throw new TypeError('oops');
    },
  });
  const error = await t.throwsAsync(callAgent(dir, 'disk.info', { name: 'b' }), {
    code: 'DISK_NOT_FOUND',
    message: 'no disk b',
  });
  t.deepEqual((error as unknown as DiskswarmError).data, { name: 'b' });
  await t.throwsAsync(callAgent(dir, 'disk.ls', {}), { code: 'INTERNAL', message: 'oops' });
  t.is(defects.length, 1);
});

test('parameters are checked before a handler sees them, and the field is named', async (t) => {
  const { path: socketPath } = await serve(t, {});
  const cases: [string, unknown, string][] = [
    ['disk.info', { name: 'Not A Name' }, 'name'],
    ['disk.info', { name: 'a', more: 1 }, 'params'],
    ['disk.info', null, 'name'],
    ['disk.info', [], 'params'],
    [
      'disk.import',
      {
        path: '/x',
        name: 'a',
        chunkSizeBytes: 1.5,
        format: 'raw',
        records: { genesis: '00', rosterBundle: '00', grant: '00' },
      },
      'chunkSizeBytes',
    ],
    [
      'disk.import',
      {
        path: '/x',
        name: 'a',
        chunkSizeBytes: 65536,
        format: 'raw',
        records: { genesis: '0G', rosterBundle: '00', grant: '00' },
      },
      'records.genesis',
    ],
    ['disk.wait', { name: 'a', timeoutSeconds: -1 }, 'timeoutSeconds'],
    ['disk.handover', { name: 'a', to: 'ff' }, 'to'],
    ['disk.export', { name: 'a', sequence: 0, path: '/x', format: 'raw' }, 'sequence'],
    ['constructor', {}, 'method'],
    ['no.such', {}, 'method'],
  ];
  for (const [method, params, field] of cases) {
    const [answer] = await raw(socketPath, `${JSON.stringify({ id: 7, method, params })}\n`, 1);
    t.is(answer?.error?.code, 'INVALID_ARGUMENT', method);
    t.is(answer?.error?.data.field, field, method);
    t.is(answer?.id, 7);
  }
});

test('several requests on one connection are answered by their id', async (t) => {
  const { path: socketPath } = await serve(t, {
    'disk.detach': async ({ name }) => ({ name, detached: true as const }),
  });
  const lines = ['a', 'b', 'c'].map((name, id) => JSON.stringify({ id, method: 'disk.detach', params: { name } }));
  const answers = await raw(socketPath, `${lines.join('\n')}\n`, 3);
  t.deepEqual(
    answers.map(({ id, result }) => [id, (result as { name: string }).name]),
    [
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ],
  );
});

test('a client that goes away aborts its request', async (t) => {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<boolean>();
  const { dir } = await serve(t, {
    'disk.pull': (_, { signal }) => {
      started.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          ended.resolve(signal.aborted);
          reject(new DiskswarmError('ABORTED', 'given up'));
        });
      });
    },
  });
  const controller = new AbortController();
  const call = callAgent(dir, 'disk.pull', { name: 'a' }, { signal: controller.signal });
  await started.promise;
  controller.abort();
  await t.throwsAsync(call, { code: 'ABORTED' });
  t.true(await ended.promise);
});

test('stop aborts what runs, waits for its answer, and frees the path', async (t) => {
  const started = Promise.withResolvers<void>();
  const {
    dir,
    path: socketPath,
    stop,
  } = await serve(t, {
    'disk.wait': (_, { signal }) => {
      started.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DiskswarmError('ABORTED', 'the agent stops')));
      });
    },
  });
  const call = callAgent(dir, 'disk.wait', { name: 'a', complete: true, timeoutSeconds: null });
  await started.promise;
  await Promise.all([t.throwsAsync(call, { code: 'ABORTED', message: 'the agent stops' }), stop()]);
  t.false(fs.existsSync(socketPath));
  await t.throwsAsync(callAgent(dir, 'disk.ls', {}), { code: 'AGENT_NOT_RUNNING' });
});

test('nobody there, a dead socket, and an agent that dies before it answers are AGENT_NOT_RUNNING', async (t) => {
  const dir = temporaryFolder(t);
  await t.throwsAsync(callAgent(dir, 'status', {}), { code: 'AGENT_NOT_RUNNING' });
  const server = net.createServer((socket) => socket.on('data', () => socket.destroy()));
  server.listen(path.join(dir, 'control.sock'));
  await new Promise((resolve) => server.once('listening', resolve));
  await t.throwsAsync(callAgent(dir, 'status', {}), { code: 'AGENT_NOT_RUNNING', message: /ended before/ });
  await new Promise((resolve) => server.close(resolve));
  fs.writeFileSync(path.join(dir, 'control.sock'), '');
  await t.throwsAsync(callAgent(dir, 'status', {}), { code: 'AGENT_NOT_RUNNING' });
  // The holder of the folder serves over what a dead agent left.
  await serve(t, { 'disk.ls': async () => ({ disks: [] }) }, dir);
  t.deepEqual(await callAgent(dir, 'disk.ls', {}), { disks: [] });
});

test('garbage and endless lines are answered once and end the connection; others go on', async (t) => {
  const { dir, path: socketPath } = await serve(t, { 'disk.ls': async () => ({ disks: [] }) });
  for (const text of ['garbage\n', '[]\n', '{"id":"x"}\n', 'null\n', '\n']) {
    const answers = await raw(socketPath, text);
    t.deepEqual(
      answers.map((answer) => [answer.id, answer.error?.code]),
      [[null, 'PROTOCOL_ERROR']],
      text,
    );
  }
  const endless = await raw(socketPath, Buffer.alloc(5 * 1024 * 1024, 0x61)).catch(() => []);
  t.true(endless.length === 0 || endless[0]?.error?.code === 'LIMIT_EXCEEDED');
  t.deepEqual(await callAgent(dir, 'disk.ls', {}), { disks: [] });
});

test('requests at once on one connection are bounded', async (t) => {
  const { path: socketPath } = await serve(t, {
    'disk.ls': (_, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new DiskswarmError('ABORTED', 'over'))),
      ),
  });
  const lines = Array.from({ length: MAX_REQUESTS_PER_CONNECTION + 1 }, (_, id) =>
    JSON.stringify({ id, method: 'disk.ls' }),
  );
  const [answer] = await raw(socketPath, `${lines.join('\n')}\n`, 1);
  t.is(answer?.id, MAX_REQUESTS_PER_CONNECTION);
  t.is(answer?.error?.code, 'LIMIT_EXCEEDED');
});

test('a state folder with a long path works all the same', async (t) => {
  const dir = path.join(temporaryFolder(t), 'long'.repeat(30));
  fs.mkdirSync(dir);
  const { path: socketPath } = await serve(t, { 'disk.ls': async () => ({ disks: [] }) }, dir);
  t.not(socketPath, path.join(dir, 'control.sock'));
  t.deepEqual(await callAgent(dir, 'disk.ls', {}), { disks: [] });
});

test('lines come out whole however the bytes are cut', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\n'))),
      fc.array(fc.nat({ max: 30 })),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const seen: string[] = [];
        const split = lineSplitter(10_000, (line) => seen.push(line));
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          split(bytes.subarray(at, at + cut));
          at += cut;
        }
        t.deepEqual(seen, lines);
      },
    ),
  );
});
