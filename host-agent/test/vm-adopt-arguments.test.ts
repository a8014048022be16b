/** The arguments of somebody else's QEMU: read from a file, made portable, and filled in again. */
import { type DiskId, DiskswarmError, idFromBytes } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { portableArguments, twinArguments } from '../src/vm/adopted-arguments.ts';
import { MAX_ARGUMENT_FILE_BYTES, parseArgumentFile } from '../src/vm/argument-file.ts';
import { decodeDefinition, encodeDefinition, MAX_VM_ARGUMENTS, type VmDefinition } from '../src/vm/definition.ts';
import { checkForeignArguments, notHarmless, optionsOf } from '../src/vm/foreign-arguments.ts';
import { formatPairs, parsePairs } from '../src/vm/option-values.ts';

const SOCKET = '/run/desk.sock';
const MONITOR = '/run/mon';
const DRIVE = { node: 'disk0', socket: '/there/a,b.sock', exportName: 'desk2' };

/** What is kept of a command line whose disk is at SOCKET and whose monitor is at MONITOR. */
function portable(...args: string[]): ReturnType<typeof portableArguments> {
  return portableArguments(optionsOf(args), {
    isMonitor: (path) => path === MONITOR,
    indexOf: (socket) => (socket === SOCKET ? 0 : null),
  });
}

/** The arguments of it. */
function kept(...args: string[]): readonly string[] {
  return portable('-nodefaults', ...args).args.slice(1);
}

function definition(args: readonly string[]): VmDefinition {
  const disk = idFromBytes<DiskId>(new Uint8Array(32).fill(1));
  return {
    name: 'desk',
    memoryBytes: 2 ** 27,
    cpus: 2,
    machine: 'pc-i440fx-7.2',
    accel: 'tcg',
    disks: [disk],
    args,
    adopted: true,
  };
}

function twin(args: readonly string[], incoming = false): string[] {
  const command = {
    definition: definition(args),
    drives: [DRIVE],
    qmpSocket: '/there/q',
    consoleSocket: '',
    consoleLog: '',
    incoming,
  };
  return twinArguments(command);
}

const FORMS: readonly (readonly [given: readonly string[], kept: readonly string[]])[] = [
  [
    ['-drive', `file=nbd+unix:///desk?socket=${SOCKET},if=virtio,format=raw,cache=none`],
    ['-drive', 'if=virtio,format=raw,cache=none,file.driver=nbd,file.server={disk0}'],
  ],
  [
    ['--drive', `if=none,id=a,file=nbd:unix:${SOCKET}:exportname=desk`],
    ['-drive', 'if=none,id=a,file.driver=nbd,format=raw,file.server={disk0}'],
  ],
  [
    ['-drive', `file.driver=nbd,file.path=${SOCKET},file.export=desk,id=a`],
    ['-drive', 'file.driver=nbd,id=a,format=raw,file.server={disk0}'],
  ],
  [
    ['-hdb', `nbd+unix://?socket=${SOCKET}`],
    ['-drive', 'index=1,media=disk,file.driver=nbd,format=raw,file.server={disk0}'],
  ],
  [
    ['-blockdev', `nbd,node-name=n,server.type=unix,server.path=${SOCKET},export=desk`],
    ['-blockdev', 'driver=nbd,node-name=n,server={disk0}'],
  ],
  [
    [
      '-blockdev',
      JSON.stringify({
        driver: 'raw',
        'node-name': 'r',
        'read-only': false,
        file: { driver: 'nbd', server: { type: 'unix', path: SOCKET }, export: 'desk', 'reconnect-delay': 5 },
      }),
    ],
    ['-blockdev', 'driver=raw,node-name=r,read-only=off,file.driver=nbd,file.reconnect-delay=5,file.server={disk0}'],
  ],
];

for (const [given, wanted] of FORMS) {
  test(`an export of ours becomes a place, and is another host's there: ${given.join(' ').slice(0, 60)}`, (t) => {
    t.deepEqual(kept(...given), wanted);
    const line = twin(wanted);
    const value = line[line.indexOf(wanted[0]!) + 1]!;
    const at = Object.fromEntries(parsePairs(value)!);
    const prefix = value.includes('file.server') ? 'file.' : '';
    t.is(at[`${prefix}server.type`], 'unix');
    t.is(at[`${prefix}server.path`], DRIVE.socket);
    t.is(at[`${prefix}export`], DRIVE.exportName);
    t.is(at[`${prefix}reconnect-delay`], value.includes('read-only') ? '5' : '3600');
  });
}

test('a drive that is no export of ours is left as it is', (t) => {
  const args = [
    '-drive',
    'file=nbd+unix:///x?socket=/other,if=none',
    '-cdrom',
    'x.iso',
    '-drive',
    'file=a,,b.iso,media=cdrom',
  ];
  t.deepEqual(kept(...args), args);
});

test('what belongs to the process or to the definition is taken out, the rest keeps its order', (t) => {
  const { args, machine, memoryBytes } = portable(
    '-nodefaults',
    ...['-S', '-daemonize', '-pidfile', '/run/pid', '-qmp', `unix:${MONITOR},server=on,wait=off`, '-M', 'q35,usb=off'],
    ...['-m', '2G', '-smp', '4', '-device', 'b', '-device', 'a', '-qmp', 'unix:/other,server=on', '-name', 'guest=x'],
  );
  t.deepEqual(args, [
    '-nodefaults',
    '-machine',
    'usb=off',
    '-device',
    'b',
    '-device',
    'a',
    '-qmp',
    'unix:/other,server=on',
    '-name',
    'guest=x',
  ]);
  t.is(machine, 'q35');
  t.is(memoryBytes, 2 ** 31);
  const chardev = kept(
    '-chardev',
    `socket,id=m,path=${MONITOR},server=on`,
    '-mon',
    'chardev=m,mode=control',
    '-mon',
    'o',
  );
  t.deepEqual(chardev, ['-mon', 'o']);
  t.deepEqual(kept('-m', '512,slots=2,maxmem=4G'), ['-m', '512,slots=2,maxmem=4G']);
  t.is(kept('-smp', '2,sockets=2').length, 2);
});

test('the network that QEMU gives without being asked is named, so that another host is asked', (t) => {
  t.deepEqual(portable('-vga', 'none').args, ['-vga', 'none', '-net', 'nic', '-net', 'user']);
  t.throws(() => checkForeignArguments(portable('-vga', 'none').args, new Set()), { code: 'VM_ARGS_NOT_ALLOWED' });
  t.regex(twin(['-drive', 'file.server={disk0}']).join(' '), /-nic none/, 'whatever a definition leaves out');
  for (const said of [['-nodefaults'], ['-nic', 'none'], ['-netdev', 'user,id=n']]) {
    t.deepEqual(portable(...said).args, said);
    const line = twin([...said, '-drive', 'file.server={disk0}']).join(' ');
    t.is(line.split('-nic none').length, said.includes('-nic') ? 2 : 1);
  }
});

test('what has no twin is refused', (t) => {
  for (const wrong of [
    ['-incoming', 'defer'],
    ['-loadvm', 'x'],
    ['-snapshot'],
    ['-readconfig', 'f'],
    ['-m', 'lots'],
    ['-daemonize', 'disk'],
  ])
    t.throws(() => portable(...wrong), { code: 'INVALID_ARGUMENT' }, wrong.join(' '));
});

test('a twin waits for its memory behind a monitor of ours, with what its definition says', (t) => {
  const line = twin(['-drive', 'file.server={disk0}'], true).join(' ');
  t.regex(line, /^-machine pc-i440fx-7\.2 -name desk -display none -nic none -accel tcg -smp 2 -m 131072k /);
  t.regex(line, /-chardev socket,id=ds-qmp,path=\/there\/q,server=on,wait=off -mon chardev=ds-qmp,mode=control/);
  t.regex(line, / -S -incoming defer$/);
  const own = ['-nographic', '-name', 'x', '-machine', 'accel=kvm', '-smp', '2,maxcpus=4', '-m', '1G,slots=1'];
  t.notRegex(twin([...own, '-drive', 'file.server={disk0}']).join(' '), /-display|-accel |-S|131072k|-name desk/);
});

test('a definition whose arguments do not open each disk once starts nothing', (t) => {
  const place = ['-drive', 'file.server={disk0}'];
  for (const args of [
    [],
    [...place, ...place],
    ['-drive', 'file.server={disk1}'],
    ['-drive', 'file.server={disk0'],
    ['-device', 'x.server={disk0}'],
  ])
    t.throws(() => twin(args), { code: 'INVALID_ARGUMENT' }, args.join(' '));
});

test('a definition says that it was adopted, and is bounded', (t) => {
  const adopted = definition(['-drive', 'file.server={disk0}']);
  t.deepEqual(decodeDefinition(encodeDefinition(adopted)), adopted);
  const { adopted: _, ...plain } = adopted;
  t.deepEqual(decodeDefinition(encodeDefinition(plain)), plain);
  t.throws(() => encodeDefinition(definition(Array(20).fill('x'.repeat(4000)))), { code: 'LIMIT_EXCEEDED' });
});

test('places are harmless on another host, files and programs are not', (t) => {
  const harmless = [
    ...[
      '-nodefaults',
      '-nographic',
      '-name',
      'guest=x',
      '-accel',
      'tcg,thread=single',
      '-enable-kvm',
      '-display',
      'none',
    ],
    ...['-drive', 'if=none,id=a,format=raw,cache=none,file.driver=nbd,file.server={disk0}'],
    ...['-blockdev', 'driver=nbd,node-name=n,server={disk1}', '-device', 'virtio-blk-pci,drive=a,addr=0x7'],
  ];
  t.deepEqual(notHarmless(harmless), []);
  checkForeignArguments(harmless, new Set());
  for (const wrong of [
    ['-drive', 'file=/etc/shadow,format=raw,file.server={disk0}'],
    ['-drive', 'format=raw,file.driver=file,file.filename=/etc/shadow,file.server={disk0}'],
    ['-drive', 'id=a,file.server={disk0},file=/etc/shadow'],
    ['-drive', 'id=a/b,file.server={disk0}'],
    ['-blockdev', 'driver=file,filename=/etc/shadow,server={disk0}'],
    ['-blockdev', 'driver=nbd,server={disk0},server.host=example.org'],
    ['-device', 'virtio-blk-pci,drive=a,romfile=/etc/shadow'],
    ['-display', 'gtk'],
    ['-accel', 'kvm,kernel-irqchip=/x'],
  ])
    t.throws(() => checkForeignArguments(wrong, new Set()), { code: 'VM_ARGS_NOT_ALLOWED' }, wrong.join(' '));
});

test('the file names one argument a line, the program first or not', (t) => {
  t.deepEqual(parseArgumentFile('/usr/bin/qemu-system-x86_64\n-m\n128\n-append\na b -c\n\n'), [
    '-m',
    '128',
    '-append',
    'a b -c',
  ]);
  t.deepEqual(parseArgumentFile('-m\r\n128'), ['-m', '128']);
  for (const wrong of ['', '\n\n', 'qemu', '-m 128\n', '-m\n\n128\n', '-m\x0a8\0'])
    t.throws(() => parseArgumentFile(wrong), { code: 'INVALID_ARGUMENT' }, JSON.stringify(wrong));
  for (const large of [
    '-x\n'.repeat(MAX_VM_ARGUMENTS + 1),
    `-x\n${'y'.repeat(5000)}`,
    'z'.repeat(MAX_ARGUMENT_FILE_BYTES + 1),
  ])
    t.throws(() => parseArgumentFile(large), { code: 'LIMIT_EXCEEDED' });
});

test('values survive being taken apart and put together, whatever they hold', (t) => {
  const key = fc.stringMatching(/^[a-z][a-z.-]{0,8}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.string({ minLength: 1 })), { minLength: 1 }), (pairs) => {
      t.deepEqual(parsePairs(formatPairs(pairs)), pairs);
    }),
  );
});

test('no arguments make anything but a coded error', (t) => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '-drive',
      '-blockdev',
      '-machine',
      '-m',
      '-chardev',
      '-qmp',
      '-hda',
      `file=nbd+unix:///?socket=${SOCKET}`,
      '{"driver":"nbd"}',
      'file.server={disk0}',
    ),
  );
  fc.assert(
    fc.property(fc.array(word), (args) => {
      try {
        twin(portable(...args).args);
      } catch (error) {
        t.true(error instanceof DiskswarmError, String(error));
      }
    }),
  );
});
