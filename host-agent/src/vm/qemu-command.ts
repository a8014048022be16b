/**
 * The command line of QEMU for a machine on our exports. Pure; vm-process.ts runs it.
 *
 * Disks are raw exports of ours: no guest-format layer on top. Errors of a disk go to the guest, never into a silently stopped machine. While the agent
 * is away QEMU holds the guest's requests and connects again by itself.
 */
import { twinArguments } from './adopted-arguments.ts';
import type { VmDefinition } from './definition.ts';
import { RECONNECT_SECONDS } from './disk-options.ts';

/** A drive and the export behind it. */
export interface VmDrive {
  /** Name of the block node. */
  readonly node: string;
  readonly socket: string;
  readonly exportName: string;
}

export interface QemuCommand {
  readonly definition: VmDefinition;
  readonly drives: readonly VmDrive[];
  readonly qmpSocket: string;
  readonly consoleSocket: string;
  /** Everything the guest said on its console. */
  readonly consoleLog: string;
  /** True for a machine that waits, paused, for its memory. */
  readonly incoming: boolean;
}

/** The arguments for qemu-system-x86_64. INVALID_ARGUMENT for a definition whose own arguments do not open its disks. */
export function qemuArguments(command: QemuCommand): string[] {
  if (command.definition.adopted === true) return twinArguments(command);
  const { name, machine, accel, cpus, memoryBytes, args } = command.definition;
  const given = new Set(args);
  const unless = (options: readonly string[], own: readonly string[]): readonly string[] =>
    options.some((option) => given.has(option)) ? [] : own;
  return [
    ...['-name', name, '-nodefaults', '-no-user-config'],
    ...unless(['-display'], ['-display', 'none']),
    ...['-M', machine],
    ...unless(['-cpu'], ['-cpu', 'max']),
    ...unless(['-accel', '-enable-kvm'], ['-accel', accel === 'kvm' ? 'kvm' : 'tcg,thread=single']),
    ...['-smp', String(cpus), '-m', `${Math.ceil(memoryBytes / 1024)}k`],
    ...[
      '-chardev',
      `socket,id=ds-qmp,path=${escaped(command.qmpSocket)},server=on,wait=off`,
      '-mon',
      'chardev=ds-qmp,mode=control',
    ],
    '-chardev',
    `socket,id=ds-console,path=${escaped(command.consoleSocket)},server=on,wait=off,logfile=${escaped(command.consoleLog)},logappend=on`,
    ...['-serial', 'chardev:ds-console'],
    ...command.drives.flatMap(({ node, socket, exportName }) => [
      '-blockdev',
      JSON.stringify({
        driver: 'nbd',
        server: { type: 'unix', path: socket },
        export: exportName,
        'reconnect-delay': RECONNECT_SECONDS,
        'node-name': node,
        discard: 'unmap',
      }),
      '-device',
      `virtio-blk-pci,drive=${node},id=${node}-dev,write-cache=on,werror=report,rerror=report`,
    ]),
    ...args,
    ...(command.incoming ? ['-S', '-incoming', 'defer'] : []),
  ];
}

/** A comma in the value of an option of QEMU is doubled. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}
