import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@diskswarm/core/system';
import test from 'ava';
import { QmpClient, type QmpConnect, type QmpConnectionHandlers } from '../src/index.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}}, "capabilities": []}}\r\n';

/** A monitor that answers capabilities and hands every other command to the test. */
function fakeMonitor(): { connect: QmpConnect; sent: Record<string, unknown>[]; say(text: string): void; end(): void } {
  let handlers: QmpConnectionHandlers | null = null;
  const sent: Record<string, unknown>[] = [];
  const say = (text: string): void => handlers?.onData(Buffer.from(text));
  return {
    sent,
    say,
    end: () => handlers?.onClose(),
    connect: (given) => {
      handlers = given;
      queueMicrotask(() => say(GREETING));
      return {
        write: (bytes) => {
          const command = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
          if (command.execute === 'qmp_capabilities') say(`{"return": {}, "id": ${String(command.id)}}\r\n`);
          else sent.push(command);
        },
        close: () => {},
      };
    },
  };
}

test('answers are matched by id, whatever order they come in, with events in between', async (t) => {
  const monitor = fakeMonitor();
  const qmp = await QmpClient.open(monitor.connect, { clock: systemClock });
  t.deepEqual(qmp.version, { major: 7, minor: 2, micro: 1 });
  const events: string[] = [];
  qmp.onEvent((event) => events.push(event.name));
  const status = qmp.execute('query-status', {});
  const migrate = qmp.execute('query-migrate', {});
  const [first, second] = monitor.sent.map((command) => command.id);
  monitor.say(
    `{"return": {"status": "active"}, "id": ${String(second)}}\n{"event": "STOP", "timestamp": {"seconds": 1, "micro`,
  );
  monitor.say(`seconds": 5}}\n{"return": {"status": "paused", "running": false}, "id": ${String(first)}}\n`);
  t.like(await migrate, { status: 'active' });
  t.like(await status, { status: 'paused' });
  t.deepEqual(events, ['STOP']);
});

test("QEMU's refusal is told with its words, and the conversation goes on", async (t) => {
  const monitor = fakeMonitor();
  const qmp = await QmpClient.open(monitor.connect, { clock: systemClock });
  const cont = qmp.execute('cont', {});
  monitor.say(`{"id": ${String(monitor.sent[0]!.id)}, "error": {"class": "GenericError", "desc": "no way"}}\n`);
  await t.throwsAsync(cont, { code: 'QMP_ERROR', message: /cont: no way/ });
  const again = qmp.execute('stop', {});
  monitor.say(`{"return": {}, "id": ${String(monitor.sent[1]!.id)}}\n`);
  await t.notThrowsAsync(again);
});

test('an end of the connection rejects what waits and what comes later', async (t) => {
  const monitor = fakeMonitor();
  const qmp = await QmpClient.open(monitor.connect, { clock: systemClock });
  const waiting = qmp.execute('stop', {});
  monitor.end();
  await t.throwsAsync(waiting, { code: 'QMP_CLOSED' });
  await t.throwsAsync(qmp.execute('cont', {}), { code: 'QMP_CLOSED' });
  await qmp.closed;
});

test('what is no QMP ends the conversation', async (t) => {
  const monitor = fakeMonitor();
  const qmp = await QmpClient.open(monitor.connect, { clock: systemClock });
  const waiting = qmp.execute('stop', {});
  monitor.say('HTTP/1.1 400 Bad Request\r\n');
  await t.throwsAsync(waiting, { code: 'PROTOCOL_ERROR' });
});

test('a command that is not answered in time, and one that is given up', async (t) => {
  const monitor = fakeMonitor();
  const qmp = await QmpClient.open(monitor.connect, { clock: systemClock });
  await t.throwsAsync(qmp.execute('stop', {}, { timeoutMs: 5 }), { code: 'TIMEOUT' });
  const given = new AbortController();
  const waiting = qmp.execute('stop', {}, { signal: given.signal });
  given.abort();
  await t.throwsAsync(waiting, { code: 'ABORTED' });
});

test('a real QEMU answers, tells events, and its death is noticed', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'qmp-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const socketPath = path.join(folder, 'qmp');
  const server = net.createServer();
  const monitor = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const machine = ['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg', '-m', '16', '-S'];
  const qemu = spawn('qemu-system-x86_64', [...machine, '-qmp', `unix:${socketPath}`], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => qemu.once('exit', () => resolve()));
  t.teardown(() => qemu.kill('SIGKILL'));
  const socket = await monitor;
  server.close();
  const qmp = await QmpClient.open(
    (handlers) => {
      socket.on('data', (bytes) => handlers.onData(bytes));
      socket.on('error', () => {}); // 'close' follows.
      socket.on('close', () => handlers.onClose());
      return { write: (bytes) => socket.write(bytes), close: () => socket.destroy() };
    },
    { clock: systemClock },
  );
  t.true(qmp.version.major >= 7);
  t.like(await qmp.execute('query-status', {}), { running: false });
  const resumed = new Promise<string>((resolve) => qmp.onEvent((event) => resolve(event.name)));
  await qmp.execute('cont', {});
  t.is(await resumed, 'RESUME');
  await t.throwsAsync(qmp.execute('migrate-incoming', { uri: 'unix:/nowhere' }), { code: 'QMP_ERROR' });
  qemu.kill('SIGKILL');
  await Promise.all([exited, qmp.closed]);
  await t.throwsAsync(qmp.execute('query-status', {}), { code: 'QMP_CLOSED' });
});
