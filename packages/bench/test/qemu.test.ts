/** A QEMU that ends at its start says why. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import type { GuestArtefacts } from '@diskswarm/guest';
import test from 'ava';
import { Qemu } from '../src/hosts/qemu.ts';

/** Opens its monitor, complains and ends, as QEMU does when a device cannot be had. */
const ENDING = `#!/usr/bin/python3
import re, socket, sys
path = re.search(r"id=qmp,path=([^,]+)", " ".join(sys.argv)).group(1)
monitor = socket.socket(socket.AF_UNIX); monitor.bind(path); monitor.listen()
monitor.accept()
sys.exit("could not configure /dev/net/tun (guest0): Device or resource busy")
`;

test.serial('what QEMU says when it ends before its monitor greets is what is told', async (t) => {
  const folder = await mkdtemp(join(os.tmpdir(), 'bench-qemu-'));
  const { PATH } = process.env;
  t.teardown(async () => {
    process.env.PATH = PATH;
    await rm(folder, { recursive: true, force: true });
  });
  await writeFile(join(folder, 'qemu-system-x86_64'), ENDING);
  await chmod(join(folder, 'qemu-system-x86_64'), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
  const artefacts = { kernel: { path: 'kernel' }, initramfs: 'initramfs' } as unknown as GuestArtefacts;
  const options = { folder, prefix: [], artefacts, memoryMiB: 96, blockdev: { driver: 'raw' }, incoming: false };
  await t.throwsAsync(Qemu.start(options), { message: /QEMU did not start: .*Device or resource busy/ });
});
