/** The NBD server around its sessions: socket file, clients that come, go and are too many, fence and end. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { hasCode } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import test from 'ava';
import { MAX_CLIENTS_PER_EXPORT, startNbdServer } from '../src/export/index.ts';
import { exportOf, fileExport, image, MIB, nbdsh, ok, run, scratch, serve } from './export-support/clients.ts';
import { Conversation } from './export-support/conversation.ts';
import { WaitingBacking } from './export-support/waiting-backing.ts';

test('the socket is for its owner alone, and nothing is left of its making', async (t) => {
  const folder = scratch(t);
  const { socketPath, server } = await serve(t, folder, exportOf(fileExport(t, image(folder, 'disk.raw', MIB))));
  const stat = fs.lstatSync(socketPath);
  t.true(stat.isSocket());
  t.is(stat.mode & 0o777, 0o600);
  t.deepEqual(fs.readdirSync(folder).sort(), ['disk.raw', 'nbd.sock']);
  await server.stop();
  await server.stop();
  t.false(fs.existsSync(socketPath));
});

test('a path that the kernel would cut is refused', async (t) => {
  const error = await t.throwsAsync(
    startNbdServer({ socketPath: `/tmp/${'x'.repeat(103)}`, exports: [], clock: systemClock, onDefect: () => {} }),
  );
  t.true(hasCode(error, 'INVALID_ARGUMENT'));
  t.regex(error!.message, /107 bytes/);
});

test('a stale socket is replaced; one that is used, and a file, are left alone', async (t) => {
  const folder = scratch(t);
  const socketPath = path.join(folder, 'nbd.sock');
  const disk = exportOf(fileExport(t, image(folder, 'disk.raw', MIB)));
  const options = { socketPath, exports: [disk], clock: systemClock, onDefect: () => {} };

  fs.writeFileSync(socketPath, 'precious');
  t.true(hasCode(await t.throwsAsync(startNbdServer(options)), 'INVALID_ARGUMENT'));
  t.is(fs.readFileSync(socketPath, 'utf8'), 'precious');
  fs.rmSync(socketPath);

  await ok(
    t,
    '/usr/bin/python3',
    '-c',
    `import socket; s = socket.socket(socket.AF_UNIX); s.bind("${socketPath}"); s.listen()`,
  );
  t.true(fs.existsSync(socketPath), 'a dead program left its socket');
  const { server } = await serve(t, folder, disk);
  t.is((await run('nbdinfo', '--size', `nbd+unix:///?socket=${socketPath}`)).stdout.trim(), String(MIB));

  const error = await t.throwsAsync(startNbdServer(options));
  t.true(hasCode(error, 'INVALID_ARGUMENT'));
  t.regex(error!.message, /in use/);
  await server.stop();
});

test('garbage and silence disturb nobody', async (t) => {
  const folder = scratch(t);
  const { socketPath, uri, defects } = await serve(t, folder, exportOf(fileExport(t, image(folder, 'disk.raw', MIB))));
  const silent = net.connect(socketPath);
  t.teardown(() => silent.destroy());
  const closed = new Promise<void>((resolve) => {
    const noisy = net.connect(socketPath);
    noisy.on('error', () => {});
    noisy.on('close', () => resolve());
    noisy.resume();
    noisy.end(Buffer.alloc(100_000, 0xa5));
  });
  await closed;
  t.is((await ok(t, 'nbdinfo', '--size', uri)).trim(), String(MIB));
  t.deepEqual(defects, []);
});

test('connections count clients in transmission; the seventeenth is refused with words', async (t) => {
  const folder = scratch(t);
  const disk = exportOf(fileExport(t, image(folder, 'disk.raw', MIB)));
  const { server, socketPath, uri } = await serve(t, folder, disk);
  const silent = net.connect(socketPath);
  t.teardown(() => silent.destroy());
  const clients: Conversation[] = [];
  for (let count = 0; count < MAX_CLIENTS_PER_EXPORT; count += 1) {
    clients.push(await Conversation.open(t, socketPath, 'disk'));
  }
  t.is(server.connections().length, MAX_CLIENTS_PER_EXPORT);
  t.deepEqual(server.connections()[0], { exportName: 'disk', writable: true });
  const refused = await run('qemu-img', 'info', uri);
  t.regex(refused.stderr, /16 clients/);
  clients[0]!.socket.destroy();
  await clients[0]!.closed;
  await nbdsh(t, uri, 'h.shutdown()');
});

test('a fenced export drops its clients, refuses new ones, and leaves other exports alone', async (t) => {
  const folder = scratch(t);
  const one = exportOf(fileExport(t, image(folder, 'one.raw', MIB)), 'one');
  const two = exportOf(fileExport(t, image(folder, 'two.raw', MIB)), 'two');
  const { server, socketPath, uri } = await serve(t, folder, one, two);
  const first = await Conversation.open(t, socketPath, 'one');
  const second = await Conversation.open(t, socketPath, 'two');
  await server.fence('one');
  await first.closed;
  t.deepEqual(server.connections(), [{ exportName: 'two', writable: true }]);
  t.is((await second.request({ command: 0, length: 16 })).errno, 0);
  const refused = await run('qemu-img', 'info', uri);
  t.regex(refused.stderr, /fenced/);

  t.true(
    hasCode(
      t.throws(() => server.add(two)),
      'NAME_EXISTS',
    ),
  );
  server.add(exportOf(fileExport(t, path.join(folder, 'one.raw')), 'one'));
  await nbdsh(t, uri, 'h.shutdown()');
  await server.remove('two');
  await second.closed;
  t.deepEqual(server.connections(), []);
});

test('fencing waits for a write in flight, and so does stopping', async (t) => {
  const folder = scratch(t);
  const backing = new WaitingBacking(MIB);
  const { server, socketPath } = await serve(t, folder, exportOf(backing));
  const client = await Conversation.open(t, socketPath, 'disk');
  client.send({ command: 1, data: new Uint8Array(4096).fill(9) });
  await backing.arrived;
  let fenced = false;
  const fencing = server.fence('disk').then(() => {
    fenced = true;
  });
  await client.closed;
  t.false(fenced);
  t.is(server.connections().length, 1, 'its write is not done');
  backing.release();
  await fencing;
  t.true(backing.committed);
  t.is(backing.bytes[100], 9);
});

test('a client that dies while it waits for a chunk gives the read up', async (t) => {
  const folder = scratch(t);
  const backing = new WaitingBacking(MIB);
  const { socketPath, server } = await serve(t, folder, exportOf(backing));
  const client = await Conversation.open(t, socketPath, 'disk');
  client.send({ command: 0, offset: 4096, length: 4096 });
  await backing.arrived;
  client.socket.destroy();
  await backing.aborted;
  await server.stop();
  t.pass();
});

test('a client that closes its sending side still gets its answers', async (t) => {
  const folder = scratch(t);
  const backing = new WaitingBacking(MIB);
  const { socketPath } = await serve(t, folder, exportOf(backing));
  const client = await Conversation.open(t, socketPath, 'disk');
  const answer = client.request({ command: 1, data: new Uint8Array(4096) });
  await backing.arrived;
  client.socket.end();
  backing.release();
  t.is((await answer).errno, 0);
  await client.closed;
});

test('the read array is not reused under a write that waits', async (t) => {
  const folder = scratch(t);
  const backing = new WaitingBacking(MIB);
  const { socketPath } = await serve(t, folder, exportOf(backing));
  const client = await Conversation.open(t, socketPath, 'disk');
  const first = client.request({ command: 1, offset: 0, data: new Uint8Array(8192).fill(1) });
  await backing.arrived;
  for (let round = 2; round < 20; round += 1) {
    await client.request({ command: 3 });
    client.send({ command: 5, offset: 0, length: 1, cookie: 99n });
  }
  backing.release();
  await first;
  t.deepEqual(backing.bytes.subarray(0, 8192), new Uint8Array(8192).fill(1));
});

test('a slow client holds up nobody, and gets everything', async (t) => {
  const folder = scratch(t);
  const file = image(folder, 'disk.raw', 16 * MIB);
  const { socketPath, uri } = await serve(t, folder, exportOf(fileExport(t, file)));
  const slow = await Conversation.open(t, socketPath, 'disk');
  slow.socket.pause();
  const wanted = [1n, 2n, 3n, 4n].map((cookie) => slow.request({ command: 0, cookie, length: 16 * MIB }));
  await nbdsh(t, uri, 'assert len(h.pread(1 << 20, 0)) == 1 << 20; h.shutdown()');
  slow.socket.resume();
  const disk = fs.readFileSync(file);
  for (const reply of await Promise.all(wanted)) t.true(disk.equals(reply.data));
});
