/** `vm adopt` on the command line: what it asks of the agent, what it prints, and the files it refuses. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { VmInfo } from '../src/control/methods.ts';
import { finished, Home } from './support/cli-process.ts';
import { fakeAgent } from './support/fake-agent.ts';

const ADOPTED: VmInfo = {
  name: 'desk',
  state: 'running',
  reason: '',
  memoryBytes: 2 ** 27,
  cpus: 1,
  machine: 'pc-i440fx-7.2',
  accel: 'tcg',
  disks: [],
  args: ['-nodefaults', '-append', "a 'b'", '-drive', 'format=raw,file.driver=nbd,file.server={disk0}'],
  pid: 42,
  adopted: true,
  consoleSocket: '',
  consoleLog: '',
  migration: null,
};

test('the agent is asked with an absolute socket and the arguments, and the user is told what the other host has to allow', async (t) => {
  const home = new Home(t);
  const asked: unknown[] = [];
  await fakeAgent(t, home.state, {
    'vm.adopt': async (params) => {
      asked.push(params);
      return ADOPTED;
    },
  });
  const file = path.join(home.folder, 'args');
  fs.writeFileSync(file, '/usr/bin/qemu-system-x86_64\n-nodefaults\n-m\n128\n');
  const words = await finished(home.spawn(['vm', 'adopt', 'desk', '--qmp', 'mon', '--qemu-args', file]));
  t.is(words.code, 0, words.stderr);
  const qmpSocket = path.join(fs.realpathSync(home.folder), 'mon');
  t.deepEqual(asked, [{ name: 'desk', qmpSocket, args: ['-nodefaults', '-m', '128'] }]);
  t.regex(words.stdout, /process 42/);
  t.true(words.stdout.includes(String.raw`diskswarm vm allow -- -append 'a '\''b'\'''`), words.stdout);
});

test('a file that is no list of arguments is refused before the agent is asked', async (t) => {
  const home = new Home(t);
  const files: readonly (readonly [content: Uint8Array | null, code: number])[] = [
    [null, 2],
    [Buffer.from('-m 128\n'), 2],
    [Buffer.from([0x2d, 0xff, 0xfe]), 2],
    [Buffer.from('-x\n'.repeat(20_000)), 1],
  ];
  for (const [content, code] of files) {
    const file = path.join(home.folder, 'args');
    fs.rmSync(file, { force: true });
    if (content !== null) fs.writeFileSync(file, content);
    const refused = await finished(home.spawn(['vm', 'adopt', 'desk', '--qmp', 'mon', '--qemu-args', file]));
    t.is(refused.code, code, refused.stderr);
  }
  t.is((await finished(home.spawn(['vm', 'adopt', 'desk', '--qmp', 'mon']))).code, 2);
});
