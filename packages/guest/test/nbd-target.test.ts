/** NBD URIs as exports print them, and what QEMU is told about the disk. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import { type NbdTarget, parseNbdUri } from '../src/nbd-target.ts';
import { qemuArgs } from '../src/qemu-args.ts';

const parses = test.macro<[uri: string, expected: NbdTarget]>({
  exec: (t, uri, expected) => t.deepEqual(parseNbdUri(uri), expected),
  title: (_, uri) => `accepts ${uri}`,
});
test(parses, 'nbd+unix:///disk?socket=/run/a.sock', { socket: '/run/a.sock', exportName: 'disk' });
test(parses, 'nbd+unix:///a%20b?socket=/run/x,y%20z', { socket: '/run/x,y z', exportName: 'a b' });
test(parses, 'nbd://127.0.0.1:9000/disk', { host: '127.0.0.1', port: '9000', exportName: 'disk' });
test(parses, 'nbd://[::1]/disk', { host: '::1', port: '10809', exportName: 'disk' });

for (const uri of ['', 'disk', 'nbd+unix:///disk', 'nbd:///disk', 'http://host/disk', 'nbd://h/%zz']) {
  test(`refuses ${JSON.stringify(uri)}`, (t) => {
    t.true(
      hasCode(
        t.throws(() => parseNbdUri(uri)),
        'INVALID_ARGUMENT',
      ),
    );
  });
}

test('a path with a comma reaches QEMU unharmed, and a lost server is waited for', (t) => {
  const args = qemuArgs({
    disk: { socket: '/tmp/a,b.sock', exportName: 'x,y' },
    kernel: { vmlinux: '/k' },
    initramfs: '/i',
  });
  const blockdev = JSON.parse(args[args.indexOf('-blockdev') + 1]!);
  t.deepEqual(blockdev.server, { type: 'unix', path: '/tmp/a,b.sock' });
  t.is(blockdev.export, 'x,y');
  t.is(blockdev['reconnect-delay'], 60);
});

test('a socket path that the kernel would cut is refused', (t) => {
  const disk = { socket: `/${'a'.repeat(107)}`, exportName: '' };
  const error = t.throws(() => qemuArgs({ disk, kernel: { vmlinux: '/k' }, initramfs: '/i' }));
  t.true(hasCode(error, 'INVALID_ARGUMENT'));
});
