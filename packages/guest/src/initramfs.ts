/**
 * The initramfs: a static busybox and the modules; it loads them, mounts the disk and hands over to the disk's own init.
 *
 * Kept plain (not compressed), because unpacking under emulation costs more than loading. What runs afterwards is on the
 * disk (guest-script.ts). A boot that cannot reach the disk says so on the protocol line instead of hanging.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buildOnce } from './cache.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';
import type { GuestKernel } from './kernel.ts';
import { requireTool } from './tools.ts';

const INIT = `#!/bin/busybox sh
bb=/bin/busybox
fatal() {
  printf '\\nDS-FATAL %s\\n' "$*" > /dev/ttyS1
  $bb sleep 1
  $bb poweroff -f
}
$bb mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
  [ -e "$module" ] && { $bb insmod "$module" || fatal "cannot load $module"; }
done
tries=0
until [ -b /dev/vda ]; do
  tries=$((tries + 1))
  [ $tries -gt 100 ] && fatal "no disk appeared"
  $bb usleep 50000
done
$bb mount -t ext4 -o rw,noatime,noinit_itable /dev/vda /newroot || fatal "cannot mount the disk"
exec $bb switch_root /newroot /init-guest
`;

/** Builds (or finds) the initramfs that belongs to `kernel`; returns its path in `cacheDir`. */
export async function buildInitramfs(kernel: GuestKernel, cacheDir: string): Promise<string> {
  const entries: CpioEntry[] = [
    { path: 'bin', kind: 'folder' },
    { path: 'dev', kind: 'folder' },
    { path: 'modules', kind: 'folder' },
    { path: 'newroot', kind: 'folder' },
    { path: 'dev/console', kind: 'console' },
    { path: 'bin/busybox', kind: 'file', data: await readFile(requireTool('busybox')) },
    { path: 'init', kind: 'file', data: Buffer.from(INIT) },
  ];
  for (const path of kernel.modules) {
    entries.push({ path: `modules/${basename(path)}`, kind: 'file', data: await readFile(path) });
  }
  const archive = writeCpio(entries);
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  return buildOnce(join(cacheDir, `initramfs-${digest}.cpio`), (temporary) => writeFile(temporary, archive));
}
