/** What the command line takes and what it refuses, before anything is done. */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { detectImage } from '../src/cli/image-format.ts';
import {
  parseChunkSize,
  parseCount,
  parseEndpoint,
  parseHost,
  parseName,
  parseNameAtSequence,
  parseRate,
  parseSeconds,
  parseSize,
} from '../src/cli/parse.ts';
import { ownerFile, refuseInsideState, stateFolder } from '../src/cli/places.ts';
import { durationText, latencyText, sizeText, table } from '../src/cli/words.ts';
import { Home, temporaryFolder } from './support/cli-process.ts';
import { fakeAgent } from './support/fake-agent.ts';

test('sizes are powers of 1024, strictly', (t) => {
  t.is(parseSize('x', '512'), 512);
  t.is(parseSize('x', '64K'), 65_536);
  t.is(parseSize('x', '2T'), 2 ** 41);
  for (const wrong of ['', 'K', '64k', '64KB', '1.5G', '-1', '0x10', ' 1', '1e3', '9999999999T']) {
    t.throws(() => parseSize('x', wrong), { code: 'INVALID_ARGUMENT' }, wrong);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      if (/^\d+[KMGT]?$/.test(text)) return;
      t.throws(() => parseSize('x', text), { instanceOf: DiskswarmError });
    }),
  );
});

test('names, rates, counts, seconds and chunk sizes', (t) => {
  t.is(parseName('a.b_c-0'), 'a.b_c-0');
  for (const wrong of ['', 'A', 'a b', 'ä', 'a/b', 'a'.repeat(65), 'a\n'])
    t.throws(() => parseName(wrong), { code: 'INVALID_ARGUMENT' });
  t.is(parseRate('r', '20M'), 20 * 2 ** 20);
  t.throws(() => parseRate('r', '0'), { code: 'INVALID_ARGUMENT' });
  t.is(parseCount('c', '3'), 3);
  for (const wrong of ['0', '-1', '1.0', '']) t.throws(() => parseCount('c', wrong), { code: 'INVALID_ARGUMENT' });
  t.is(parseSeconds('s', '1.5'), 1.5);
  for (const wrong of ['', '-1', '1s', 'Infinity'])
    t.throws(() => parseSeconds('s', wrong), { code: 'INVALID_ARGUMENT' });
  t.is(parseChunkSize('16K'), 16_384);
  for (const wrong of ['8K', '2M', '65537', '0']) t.throws(() => parseChunkSize(wrong), { code: 'BAD_CHUNK_SIZE' });
  t.throws(() => parseChunkSize('big'), { code: 'INVALID_ARGUMENT' });
  t.deepEqual(parseNameAtSequence('a@7'), { name: 'a', sequence: 7 });
  t.deepEqual(parseNameAtSequence('a'), { name: 'a', sequence: null });
  for (const wrong of ['a@', 'a@0', '@1', 'a@1@2'])
    t.throws(() => parseNameAtSequence(wrong), { code: 'INVALID_ARGUMENT' });
  t.is(parseEndpoint('e', '[::1]:0'), '[::1]:0');
  for (const wrong of ['localhost', ':1', 'a:99999', '::1:5'])
    t.throws(() => parseEndpoint('e', wrong), { code: 'INVALID_ARGUMENT' });
  t.throws(() => parseHost('h', 'abc'), { code: 'INVALID_ARGUMENT' });
  t.throws(() => parseHost('h', '0'.repeat(136)), { code: 'INVALID_ID' });
});

test('words for people', (t) => {
  t.deepEqual([0, 512, 1024, 1536, 65_536, 1 << 30].map(sizeText), ['0', '512', '1K', '1.5K', '64K', '1G']);
  t.deepEqual([0.5, 61, 3700].map(durationText), ['1 s', '1 min 1 s', '1 h 1 min']);
  t.deepEqual([850, 3210, 32_100, 1_400_000].map(latencyText), ['850 us', '3.2 ms', '32 ms', '1.4 s']);
  t.is(table(['A', 'LONG'], [['xyz', '1']]), 'A    LONG\nxyz  1');
});

test('places follow option, environment and XDG, in this order', (t) => {
  t.is(stateFolder('/s', { DISKSWARM_STATE: '/e' }), '/s');
  t.is(stateFolder(undefined, { DISKSWARM_STATE: '/e', XDG_STATE_HOME: '/x' }), '/e');
  t.is(stateFolder(undefined, { XDG_STATE_HOME: '/x' }), '/x/diskswarm');
  t.regex(stateFolder(undefined, {}), /\/\.local\/state\/diskswarm$/);
  t.is(ownerFile(undefined, { XDG_CONFIG_HOME: '/x' }), '/x/diskswarm/owner.key');
  t.regex(ownerFile(undefined, {}), /\/\.config\/diskswarm\/owner\.key$/);
});

test('the owner file lies in no state folder, also not by way of a link', (t) => {
  const folder = temporaryFolder(t);
  const state = path.join(folder, 'state');
  const other = path.join(folder, 'other');
  for (const each of [state, other]) fs.mkdirSync(path.join(each, 'deep'), { recursive: true });
  for (const name of ['version', 'host.keys']) fs.writeFileSync(path.join(other, name), '');
  fs.symlinkSync(other, path.join(folder, 'link'));
  for (const place of ['state/owner.key', 'state/deep/none/owner.key', 'other/deep/owner.key', 'link/owner.key']) {
    t.throws(() => refuseInsideState(path.join(folder, place), state), { code: 'INVALID_ARGUMENT' }, place);
  }
  t.notThrows(() => refuseInsideState(path.join(folder, 'config', 'owner.key'), state));
});

test('images are told apart by their first bytes', (t) => {
  const folder = temporaryFolder(t);
  const make = (name: string, bytes: string): string => {
    fs.writeFileSync(path.join(folder, name), Buffer.from(bytes, 'latin1'));
    return path.join(folder, name);
  };
  t.is(detectImage(make('a.img', '\0'.repeat(600))).format, 'raw');
  t.is(detectImage(make('short', 'x')).format, 'raw');
  t.is(detectImage(make('b.raw', 'QFI\xfb\0\0\0\x03')).format, 'qcow2');
  t.deepEqual(detectImage('nbd+unix:///x?socket=/s'), { location: 'nbd+unix:///x?socket=/s', format: 'nbd' });
  t.is(detectImage('nbd://127.0.0.1:10809/x').format, 'nbd');
  const foreign = [
    make('v', 'KDMV'),
    make('x', 'vhdxfile'),
    make('i', `${'x'.repeat(64)}\x7f\x10\xda\xbe`),
    make('q', 'QED\0'),
  ];
  for (const wrong of [...foreign, folder, path.join(folder, 'none'), 'http://example.org/x.img', '/dev/null']) {
    t.throws(() => detectImage(wrong), { code: 'BAD_IMAGE' }, wrong);
  }
});

test.serial('wrong usage ends with 2, and with --json says so in a document', async (t) => {
  const home = new Home(t);
  const lines = [
    'nonsense',
    'disk',
    'disk info',
    'disk info a b',
    'disk ls --nonsense',
    'disk info BAD',
    'disk wait a',
    'disk wait a --safe --complete',
    'disk export a x.vmdk',
    'disk grant a',
    'disk grant a --host abc',
    'agent --listen nowhere',
    'agent --tracker udp://x',
    'agent --upload-limit 1.5M',
    'agent --bootstrap 10.0.0.1:7',
    'agent --dht --bootstrap nowhere',
    'owner',
  ];
  for (const line of lines) {
    const document = await home.json(line.split(' '));
    t.is(document.code, 2, line);
    t.is(document.error?.code, 'INVALID_ARGUMENT', line);
  }
  const plain = await home.run(['disk', 'nonsense']);
  t.is(plain.code, 2);
  t.is(plain.stdout, '');
  t.regex(plain.stderr, /unknown command 'nonsense'/);
  const help = await home.run(['disk', 'import', '--help']);
  t.is(help.code, 0);
  t.regex(help.stdout, /--chunk-size/);
});

test.serial('global options are taken before and after the command', async (t) => {
  const home = new Home(t);
  const other = new Home(t);
  await fakeAgent(t, other.state, { 'disk.ls': async () => ({ disks: [] }) });
  for (const line of [
    ['--state', other.state, '--json', 'disk', 'ls'],
    ['disk', 'ls', '--state', other.state, '--json'],
    ['disk', '--json', 'ls', `--state=${other.state}`],
  ]) {
    const { code, stdout } = await home.run(line);
    t.is(code, 0);
    t.deepEqual(JSON.parse(stdout), { disks: [] });
  }
});

test.serial('without an agent it says so, in words and as a document', async (t) => {
  const home = new Home(t);
  const hostId = (await home.json(['host', 'id'])).hostId as string;
  t.is(hostId.length, 136);
  const lines = [
    'disk ls',
    'disk pull a',
    'status',
    'status --watch',
    'store stats',
    'peer ls',
    'disk take a --force',
    `peer unban ${hostId}`,
    `disk grant a --host ${hostId}`,
    `disk handover a --to ${hostId}`,
  ];
  for (const line of lines) {
    const document = await home.json(line.split(' '));
    t.is(document.code, 1, line);
    t.is(document.error?.code, 'AGENT_NOT_RUNNING', line);
  }
  const { code, stdout, stderr } = await home.run(['status']);
  t.is(code, 1);
  t.is(stdout, '');
  t.regex(stderr, /diskswarm agent --state .*\(AGENT_NOT_RUNNING\)\n$/);
});

test.serial('host id makes the keys once and refuses a folder of another version', async (t) => {
  const home = new Home(t);
  const first = await home.run(['host', 'id']);
  t.regex(first.stdout, /^[0-9a-f]{136}\n$/);
  t.is((await home.run(['host', 'id'])).stdout, first.stdout);
  fs.writeFileSync(path.join(home.state, 'version'), '99\n');
  const refused = await home.json(['host', 'id']);
  t.is(refused.code, 1);
  t.is(refused.error?.code, 'STATE_VERSION');
});
