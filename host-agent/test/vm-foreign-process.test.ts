/** QEMUs of somebody else: whose socket it is, and the life of one whose process cannot be seen. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { systemClock } from '@diskswarm/core/system';
import { QmpClient } from '@diskswarm/qmp';
import test, { type ExecutionContext } from 'ava';
import { qmpOverSocket, someoneListens } from '../src/vm/qmp-socket.ts';
import { socketOwner, workingFolder } from '../src/vm/socket-owner.ts';
import { VmProcess } from '../src/vm/vm-process.ts';
import { temporaryFolder } from './support/cli-process.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}\n';

/** A monitor that greets, answers everything with nothing, and may be told to quit. */
async function monitor(t: ExecutionContext, socketPath: string, { quits = true } = {}): Promise<net.Server> {
  const clients = new Set<net.Socket>();
  const server = net.createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.write(GREETING);
    client.on('data', (bytes) => {
      for (const line of bytes.toString().trim().split('\n')) {
        const { id, execute } = JSON.parse(line) as { id: number; execute: string };
        client.write(`${JSON.stringify({ return: {}, id })}\n`);
        if (execute === 'quit' && quits) stop();
      }
    });
  });
  const stop = (): void => {
    server.close();
    for (const client of clients) client.destroy();
  };
  t.teardown(stop);
  server.listen(socketPath);
  await once(server, 'listening');
  return server;
}

test('a socket is its listener’s, whatever the name it was bound by', async (t) => {
  const folder = temporaryFolder(t);
  const script = "require('node:net').createServer().listen('./own.sock', () => console.log('listens'))";
  const child = spawn(process.execPath, ['-e', script], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const socket = path.join(folder, 'own.sock');
  t.is(await socketOwner(socket), child.pid!);
  t.is(await workingFolder(child.pid!), fs.realpathSync(folder));
  fs.symlinkSync(socket, path.join(folder, 'link.sock'));
  t.is(await socketOwner(path.join(folder, 'link.sock')), child.pid!);
  t.true(await someoneListens(socket));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.is(await socketOwner(socket), null);
  t.false(await someoneListens(socket));
  t.is(await socketOwner(path.join(folder, 'nothing')), null);
});

test('a process that cannot be seen is asked to quit, and is gone with its socket', async (t) => {
  const qmpSocket = path.join(temporaryFolder(t), 'mon.sock');
  await monitor(t, qmpSocket);
  const qmp = await QmpClient.open(qmpOverSocket(qmpSocket), { clock: systemClock });
  const machine = VmProcess.adopt({ identity: null, qmp, qmpSocket, clock: systemClock });
  await machine.quit();
  await machine.exited;
  t.is(await VmProcess.reconnect(null, { qmpSocket, clock: systemClock, log: '' }), null);
});

test('one that does not quit is left to itself, and found again', async (t) => {
  const qmpSocket = path.join(temporaryFolder(t), 'mon.sock');
  await monitor(t, qmpSocket, { quits: false });
  const first = await VmProcess.reconnect(null, { qmpSocket, clock: systemClock, log: '' });
  t.not(first, null);
  await first!.quit(1);
  first!.qmp.close();
  const second = await VmProcess.reconnect(null, { qmpSocket, clock: systemClock, log: '' });
  t.not(second, null);
  second!.qmp.close();
});
