/** `dashboard`: where the link goes and where its code does not, and an owner who signs what a page asks for. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ControlEvent, ControlParams } from '../src/control/methods.ts';
import { finished, Home, linesOf } from './support/cli-process.ts';
import { fakeAgent, makeDisk } from './support/fake-agent.ts';

const ENTRY = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const CODE = 'c0de'.repeat(16);
const LISTEN = '127.0.0.1:45678';
const OPENED = { listen: LISTEN, url: `http://${LISTEN}/#code=${CODE}` };

test('the link is all that a program gets', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, { 'dashboard.open': async () => OPENED });
  t.deepEqual(await home.json(['dashboard']), { code: 0, ...OPENED });
  const { stdout, stderr } = await home.run(['dashboard']);
  t.is(stdout, `${OPENED.url}\n`);
  t.regex(stderr, /within ten minutes/);
  t.false(fs.existsSync(path.join(home.state, 'dashboard.html')));
});

test('on a desktop the browser opens a private file, and the code stands in no list of processes', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, { 'dashboard.open': async () => OPENED });
  // What stands for the browser tells what it was started with, and a pipe tells when.
  const bin = path.join(home.folder, 'bin');
  const told = path.join(home.folder, 'told');
  fs.mkdirSync(bin);
  fs.writeFileSync(
    path.join(bin, 'xdg-open'),
    `#!/bin/sh\nprintf '%s\\n' "$@" > ${told}.new && mv ${told}.new ${told}\n`,
    {
      mode: 0o755,
    },
  );
  const command = `'${process.execPath}' --conditions=source '${ENTRY}' dashboard`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: home.folder,
    env: {
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      HOME: home.folder,
      DISKSWARM_STATE: home.state,
      DISPLAY: ':7',
    },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const watcher = fs.watch(home.folder);
  t.teardown(() => watcher.close());
  const opened = new Promise<void>((resolve) => {
    const look = (): void => {
      if (fs.existsSync(told)) resolve();
    };
    watcher.on('change', look);
    look();
  });
  const { code, stdout } = await finished(child);
  t.is(code, 0);
  t.true(stdout.includes(OPENED.url));
  await opened;
  const file = path.join(home.state, 'dashboard.html');
  t.is(fs.readFileSync(told, 'utf8'), `${file}\n`);
  t.is(fs.statSync(file).mode & 0o777, 0o600);
  t.true(fs.readFileSync(file, 'utf8').includes(`url=${OPENED.url}"`));
});

test('--invite signs for the disks of this owner, and says why not for others', async (t) => {
  const home = new Home(t);
  const { ownerFile, keys, view } = makeDisk();
  fs.mkdirSync(path.dirname(home.ownerFile), { recursive: true });
  fs.writeFileSync(home.ownerFile, ownerFile, { mode: 0o600 });
  const foreign = makeDisk();
  const guest = makeDisk().keys.hostId;
  const signed: ControlParams<'dashboard.signed'>[] = [];
  const answered = Promise.withResolvers<void>();
  let rosters = 0;
  await fakeAgent(t, home.state, {
    'dashboard.open': async () => OPENED,
    'disk.ownerView': async ({ name }) => (name === 'mine' ? view : foreign.view),
    'disk.applyRoster': async () => ({ sequence: 2 + rosters++ }),
    'dashboard.sign': async (_, { signal, emit }) => {
      const wanted = (id: number, name: string): ControlEvent<'dashboard.sign'> => {
        return { event: 'invitationWanted', id, name, hostId: guest, role: 'reader' };
      };
      emit(wanted(1, 'theirs'));
      emit(wanted(2, 'mine'));
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return {};
    },
    'dashboard.signed': async (params) => {
      if (signed.push(params) === 2) answered.resolve();
      return {};
    },
  });
  const child = home.spawn(['dashboard', '--invite', '--json']);
  const nextLine = linesOf(child);
  t.deepEqual(JSON.parse((await nextLine())!), OPENED);
  await answered.promise;
  t.like(signed[0], { id: 1, invitation: null });
  t.regex(signed[0]!.reason, /another owner/);
  t.like(signed[1], { id: 2, reason: '' });
  t.true(signed[1]!.invitation!.length > 100);
  t.is(rosters, 1);
  t.like(JSON.parse((await nextLine())!), { event: 'invited', name: 'mine', hostId: guest, role: 'reader' });
  t.not(keys.hostId, guest);
  const end = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.kill('SIGINT');
  t.is(await end, 0);
});

test('--invite asks for the key before it gives out a link', async (t) => {
  const home = new Home(t);
  let opened = 0;
  await fakeAgent(t, home.state, {
    'dashboard.open': async () => {
      opened++;
      return OPENED;
    },
  });
  const { code, error } = await home.json(['dashboard', '--invite']);
  t.is(code, 1);
  t.is(error?.code, 'OWNER_FILE_MISSING');
  t.is(opened, 0);
});
