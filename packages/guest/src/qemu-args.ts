/**
 * The command line of QEMU for one guest. Pure; guest.ts runs it.
 *
 * Serial line 0 carries the kernel's messages and line 1 the protocol, each over a descriptor that is open already (3
 * and 4), so that noise on one cannot break the other and no socket has a path. Errors of the disk go to the guest,
 * never into a silently stopped machine.
 */

import { blockdevOf, type GuestDisk } from './nbd-target.ts';
import type { GuestArtefacts } from './prepare.ts';

/** The child's descriptor for the kernel's console. */
export const CONSOLE_FD = 3;
/** The child's descriptor for the protocol line. */
export const PROTOCOL_FD = 4;

const KERNEL_LINE =
  'console=ttyS0 quiet mitigations=off random.trust_cpu=on tsc=reliable no_timer_check panic=0 cryptomgr.notests';

/** What decides the command line. */
export interface MachineOptions {
  readonly disk: GuestDisk;
  readonly kernel: Pick<GuestArtefacts['kernel'], 'vmlinux'>;
  /** Path of the initramfs. */
  readonly initramfs: string;
  /** 96 is enough, 72 is not. @default 96 */
  readonly memoryMiB?: number;
  /** How long QEMU holds the guest's requests while the NBD server is away. @default 60 */
  readonly reconnectDelaySeconds?: number;
  /** Appended to the kernel's command line. */
  readonly kernelArgs?: readonly string[];
  /** Appended to QEMU's command line, e.g. a QMP socket. */
  readonly qemuArgs?: readonly string[];
  /** @default DISKSWARM_ACCEL, else tcg: /dev/kvm may be there and not work */
  readonly accel?: 'tcg' | 'kvm';
}

/** The arguments for qemu-system-x86_64. @throws DiskswarmError INVALID_ARGUMENT for a disk that cannot be named */
export function qemuArgs(options: MachineOptions): string[] {
  const accel = options.accel ?? (process.env.DISKSWARM_ACCEL === 'kvm' ? 'kvm' : 'tcg');
  const blockdev = blockdevOf(options.disk, options.reconnectDelaySeconds ?? 60);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-M', 'pc', '-smp', '1', '-cpu', 'max'],
    ...['-accel', accel === 'kvm' ? 'kvm' : 'tcg,thread=single', '-m', String(options.memoryMiB ?? 96)],
    ...['-kernel', options.kernel.vmlinux, '-initrd', options.initramfs],
    ...['-append', [KERNEL_LINE, ...(options.kernelArgs ?? [])].join(' ')],
    ...['-chardev', `socket,id=console,fd=${CONSOLE_FD}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=protocol,fd=${PROTOCOL_FD}`, '-serial', 'chardev:protocol'],
    ...['-blockdev', JSON.stringify(blockdev)],
    ...['-device', 'virtio-blk-pci,drive=d0,write-cache=on,werror=report,rerror=report'],
    ...(options.qemuArgs ?? []),
  ];
}

/** What a QEMU that somebody else starts needs beside its disk: kernel, initramfs, and the protocol line as a Unix socket that it listens on. */
export function guestArguments(options: {
  readonly kernel: Pick<GuestArtefacts['kernel'], 'vmlinux'>;
  readonly initramfs: string;
  /** Path of the socket; the first serial line is the caller's console. */
  readonly protocolSocket: string;
}): string[] {
  return [
    ...['-kernel', options.kernel.vmlinux, '-initrd', options.initramfs, '-append', KERNEL_LINE],
    ...[
      '-chardev',
      `socket,id=protocol,path=${options.protocolSocket},server=on,wait=off`,
      '-serial',
      'chardev:protocol',
    ],
  ];
}
