/** One agent per state folder, whatever died before it; versions; sockets whose path is too long. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import test, { type ExecutionContext } from 'ava';
import { loadHostKeys, readHostKeys } from '../src/state/host-keys-file.ts';
import { decodeIdentity, encodeIdentity, livenessOf, ownIdentity } from '../src/state/process-identity.ts';
import { findSocket, MAX_SOCKET_PATH_BYTES, placeSocket } from '../src/state/socket-place.ts';
import { openStateFolder } from '../src/state/state-folder.ts';

function temporaryFolder(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ds-state-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function modeOf(file: string): number {
  return fs.statSync(file).mode & 0o777;
}

/** A process that opens the folder when told to ("go"), says how it went, and holds it until it is killed. */
const HOLDER = fileURLToPath(new URL('support/hold-state-folder.ts', import.meta.url));

function startHolder(t: ExecutionContext, folder: string): { process: ChildProcess; next(): Promise<string> } {
  const child = spawn(process.execPath, ['--conditions=source', HOLDER, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  return {
    process: child,
    next: async () => {
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the holder ended');
      return value as string;
    },
  };
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

test('a new folder is private, has a version, and can be opened again after release', async (t) => {
  const dir = path.join(temporaryFolder(t), 'deep', 'state');
  const first = await openStateFolder(dir);
  t.is(modeOf(dir), 0o700);
  t.is(fs.readFileSync(path.join(dir, 'version'), 'utf8'), '1\n');
  first.release();
  first.release();
  const second = await openStateFolder(dir);
  t.is(second.dir, dir);
  second.release();
});

test('a second agent is refused and told the first one', async (t) => {
  const dir = temporaryFolder(t);
  const held = await openStateFolder(dir);
  t.teardown(() => held.release());
  const error = await t.throwsAsync(openStateFolder(dir), { code: 'AGENT_ALREADY_RUNNING' });
  t.is((error as unknown as { data: { pid: number } }).data.pid, process.pid);
  t.true(error?.message.includes(String(process.pid)));
});

test('of many that start at once one gets the folder, and after its SIGKILL one other', async (t) => {
  const dir = temporaryFolder(t);
  const holders = Array.from({ length: 6 }, () => startHolder(t, dir));
  for (const holder of holders) t.is(await holder.next(), 'ready');
  let alive = holders;
  let last: number | undefined;
  for (let round = 0; round < 3; round++) {
    for (const holder of alive) holder.process.stdin?.write('go\n');
    const outcomes = await Promise.all(alive.map((holder) => holder.next()));
    t.is(outcomes.filter((outcome) => outcome === 'held').length, 1, outcomes.join());
    const winner = alive[outcomes.indexOf('held')];
    if (winner === undefined) return;
    for (const outcome of outcomes) {
      if (outcome !== 'held') t.is(outcome, `AGENT_ALREADY_RUNNING ${winner.process.pid}`);
    }
    t.not(winner.process.pid, last);
    last = winner.process.pid;
    await killed(winner.process);
    alive = alive.filter((holder) => holder !== winner);
  }
  t.is(fs.readdirSync(dir).filter((name) => name.startsWith('agent.lock')).length, 1);
});

test('a process id that was used again does not hold the folder', async (t) => {
  const dir = temporaryFolder(t);
  (await openStateFolder(dir)).release();
  const own = ownIdentity();
  const earlier = { ...own, startTicks: (own.startTicks ?? 0) - 1 };
  fs.writeFileSync(path.join(dir, 'agent.lock.7'), encodeIdentity(earlier));
  const state = await openStateFolder(dir);
  t.deepEqual(
    fs.readdirSync(dir).filter((name) => name.startsWith('agent.lock')),
    ['agent.lock.8'],
  );
  state.release();
});

test('a lock of another boot, and one whose content was lost, are followed', async (t) => {
  const dir = temporaryFolder(t);
  fs.writeFileSync(path.join(dir, 'agent.lock.1'), encodeIdentity({ ...ownIdentity(), bootId: 'another' }));
  (await openStateFolder(dir)).release();
  fs.writeFileSync(path.join(dir, 'agent.lock.9'), '');
  (await openStateFolder(dir)).release();
  t.pass();
});

test('a holder in another pid namespace counts while it answers', async (t) => {
  const dir = temporaryFolder(t);
  (await openStateFolder(dir)).release();
  const foreign = { ...ownIdentity(), pidNamespace: 'pid:[1]' };
  t.is(livenessOf(foreign), 'unknowable');
  fs.writeFileSync(path.join(dir, 'agent.lock.5'), encodeIdentity(foreign));
  const server = net.createServer().listen(path.join(dir, 'control.sock'));
  await new Promise((resolve) => server.once('listening', resolve));
  await t.throwsAsync(openStateFolder(dir), { code: 'AGENT_ALREADY_RUNNING' });
  await new Promise((resolve) => server.close(resolve));
  (await openStateFolder(dir)).release();
});

test('a process identity survives its text, and garbage is none', (t) => {
  t.deepEqual(decodeIdentity(encodeIdentity(ownIdentity())), ownIdentity());
  for (const text of ['', 'null', '{}', '{"pid":0}', '{"pid":"1"}', '[', 'free\n'])
    t.is(decodeIdentity(text), null, text);
});

test('another version is refused and left alone', async (t) => {
  for (const text of ['2\n', '0\n', 'x', '']) {
    const dir = temporaryFolder(t);
    fs.writeFileSync(path.join(dir, 'version'), text);
    const error = await t.throwsAsync(openStateFolder(dir), { code: 'STATE_VERSION' });
    t.is(error?.message.includes('newer'), text === '2\n');
    t.deepEqual(fs.readdirSync(dir), ['version']);
  }
});

test('a folder with other things in it is not taken over', async (t) => {
  const dir = temporaryFolder(t);
  fs.chmodSync(dir, 0o755);
  fs.writeFileSync(path.join(dir, 'diary.txt'), 'dear');
  await t.throwsAsync(openStateFolder(dir), { code: 'INVALID_ARGUMENT' });
  t.is(modeOf(dir), 0o755);
  t.deepEqual(fs.readdirSync(dir), ['diary.txt']);
});

test('a state folder that cannot be made says so', async (t) => {
  const dir = temporaryFolder(t);
  fs.writeFileSync(path.join(dir, 'file'), '');
  await t.throwsAsync(openStateFolder(path.join(dir, 'file', 'state')), { code: 'WRITE_FAILED' });
});

test('host keys are made once, privately', async (t) => {
  const dir = temporaryFolder(t);
  const storage = new FolderStorage(dir);
  t.is(await readHostKeys(storage), null);
  const keys = await loadHostKeys(storage, systemRandom);
  t.is(modeOf(path.join(dir, 'host.keys')), 0o600);
  t.is((await loadHostKeys(storage, systemRandom)).hostId, keys.hostId);
  fs.writeFileSync(path.join(dir, 'host.keys'), 'damaged');
  await t.throwsAsync(loadHostKeys(storage, systemRandom), { code: 'FORMAT_INVALID' });
});

test('a socket path that is too long moves, and what it left is cleaned up', async (t) => {
  const dir = path.join(temporaryFolder(t), 'x'.repeat(120));
  fs.mkdirSync(dir);
  const wanted = path.join(dir, 'control.sock');
  const first = placeSocket(wanted);
  t.true(Buffer.byteLength(first.path) <= MAX_SOCKET_PATH_BYTES);
  t.is(modeOf(path.dirname(first.path)), 0o700);
  t.is(findSocket(wanted), first.path);
  // As after a SIGKILL: the next holder makes a new place and removes the old one.
  const second = placeSocket(wanted);
  t.false(fs.existsSync(path.dirname(first.path)));
  t.is(findSocket(wanted), second.path);
  second.remove();
  second.remove();
  t.false(fs.existsSync(path.dirname(second.path)));
  t.deepEqual(fs.readdirSync(dir), []);
});

test('a pointer that names something else removes nothing', (t) => {
  const dir = path.join(temporaryFolder(t), 'x'.repeat(120));
  const precious = path.join(dir, 'precious');
  fs.mkdirSync(precious, { recursive: true });
  const wanted = path.join(dir, 'control.sock');
  fs.writeFileSync(`${wanted}.path`, `${precious}/control.sock\n`);
  placeSocket(wanted).remove();
  t.true(fs.existsSync(precious));
});
