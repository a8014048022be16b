/**
 * What machines and their migrations ask of the computer they are on: QEMU, its processes, its sockets, and how much room there is.
 *
 * The one seam between them and the operating system, so that the simulation can put a model of QEMU in its place. Leaves to others what is done with it.
 */
import { access, constants, mkdir, rm, statfs } from 'node:fs/promises';
import type { Clock } from '@diskswarm/core';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import { MemoryOutlet, pipeToQemu } from '../migration/memory-pipe.ts';
import type { ProcessIdentity } from '../state/process-identity.ts';
import { chooseAccelerator } from './accelerator.ts';
import type { Accelerator } from './definition.ts';
import type { QemuCommand } from './qemu-command.ts';
import { type QemuProgram, qemuProgram } from './qemu-program.ts';
import { VmProcess } from './vm-process.ts';

/** One QEMU process, as `VmProcess` has it. */
export type QemuProcess = Pick<VmProcess, 'identity' | 'qmp' | 'exited' | 'quit' | 'kill'>;
/** Where the source's QEMU connects with its memory, as `MemoryOutlet` has it. */
export type Outlet = Pick<MemoryOutlet, 'start' | 'stop'>;

export interface Machinery {
  /** What QEMU can do here; EXTERNAL_TOOL_FAILED where it is missing. */
  program(): Promise<QemuProgram>;
  /** The accelerator for a new machine with these arguments. */
  accelerator(args: readonly string[]): Promise<Accelerator>;
  /** Rejects where machines cannot run under KVM. */
  needsKvm(): Promise<void>;
  /** See `VmProcess.launch`. */
  launch(
    command: QemuCommand,
    options: { clock: Clock; log: string; spawned: (identity: ProcessIdentity) => Promise<void> },
  ): Promise<QemuProcess>;
  /** See `VmProcess.reconnect`. */
  reconnect(
    identity: ProcessIdentity | null,
    options: { qmpSocket: string; clock: Clock; log: string },
  ): Promise<QemuProcess | null>;
  /** See `VmProcess.end`. */
  end(identity: ProcessIdentity, clock: Clock): Promise<void>;
  /** Listens at `path` for QEMU's migration connections, once started; `open` opens the stream of each. */
  outlet(path: string, open: (channel: number, handlers: StreamHandlers) => PeerStream): Outlet;
  /** Connects a stream of another host to the incoming QEMU that listens at `path`. */
  pipe(path: string, stream: PeerStream): StreamHandlers;
  makeFolder(path: string): Promise<void>;
  /** Removes a socket, if it is there. */
  remove(path: string): Promise<void>;
  /** Memory that a new process may still take, in bytes. */
  freeMemoryBytes(): number;
  /** Room in a folder, in bytes. */
  freeBytes(folder: string): Promise<number>;
}

/** This computer. */
export const systemMachinery: Machinery = {
  program: qemuProgram,
  accelerator: chooseAccelerator,
  needsKvm: () => access('/dev/kvm', constants.R_OK | constants.W_OK),
  launch: (command, options) => VmProcess.launch(command, options),
  reconnect: (identity, options) => VmProcess.reconnect(identity, options),
  end: (identity, clock) => VmProcess.end(identity, clock),
  outlet: (path, open) => new MemoryOutlet(path, open),
  pipe: pipeToQemu,
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
  remove: (path) => rm(path, { force: true }),
  freeMemoryBytes: () => process.availableMemory(),
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};
