/**
 * Makes a QEMU that somebody else started on our exports a machine of this host: `vm adopt`.
 *
 * Everything is asked before anything is changed; QEMU and its exports go on as they are. Leaves to others: what QEMU says of itself (inspect-qemu.ts), what
 * its arguments mean (adopted-arguments.ts), and everything that happens to a machine afterwards (vm.ts).
 */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { type Clock, DiskswarmError, messageOf } from '@diskswarm/core';
import { QmpClient } from '@diskswarm/qmp';
import type { Agent } from '../agent/agent.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import type { AttachmentInfo } from '../control/methods.ts';
import { identityOf } from '../state/process-identity.ts';
import { type PortableArguments, portableArguments } from './adopted-arguments.ts';
import { decodeDefinition, encodeDefinition, type VmDefinition } from './definition.ts';
import { socketsOf } from './disk-options.ts';
import { optionsOf } from './foreign-arguments.ts';
import { type InspectedQemu, inspectQemu, notAdoptable } from './inspect-qemu.ts';
import { qmpOverSocket } from './qmp-socket.ts';
import { programOf, sharesFiles, socketOwner, workingFolder } from './socket-owner.ts';
import type { Vm } from './vm.ts';
import type { VmManager } from './vm-manager.ts';
import { VmProcess } from './vm-process.ts';

/** QEMU rounds memory up to this. */
const MEMORY_STEP_BYTES = 8192;

/** What a user asks for. */
export interface WantedAdoption {
  readonly name: string;
  /** Absolute; of a monitor that nobody else is connected to. */
  readonly qmpSocket: string;
  /** What QEMU was started with. */
  readonly args: readonly string[];
}

/** An export of this host that QEMU has open. */
interface OpenDisk {
  readonly disk: ManagedDisk;
  readonly socket: string;
}

/** The machine, from now on like any other. VM_NOT_ADOPTABLE, VM_STATE, VM_EXISTS, INVALID_ARGUMENT, or why the monitor cannot be spoken to. */
export async function adoptVm(agent: Agent, vms: VmManager, { name, qmpSocket, args }: WantedAdoption): Promise<Vm> {
  const { clock } = agent.env;
  const options = optionsOf(args);
  vms.assertFree(name);
  const pid = await socketOwner(qmpSocket);
  const identity = pid === null ? null : identityOf(pid);
  const program = pid === null ? null : await programOf(pid);
  // The end of a relay would be taken for QEMU's own, and its disks be taken away under a guest that runs.
  if (program !== null && !/qemu|kvm/.test(program))
    throw notAdoptable('relay', `${program}, and not QEMU itself, listens at ${qmpSocket}`, { pid, program });
  const qmp = await openMonitor(qmpSocket, clock);
  try {
    const found = await inspectQemu(qmp);
    const place = placesOf(pid === null ? null : await workingFolder(pid));
    const idle = pid !== null && (await sharesFiles(pid));
    const disks = inOrder(await openDisks(agent, found.sockets.map(place), { idle }), socketsOf(options).map(place));
    const indexOf = (socket: string): number | null => {
      const index = disks.findIndex((each) => each.socket === place(socket));
      return index < 0 ? null : index;
    };
    const monitor = place(qmpSocket);
    const portable = portableArguments(options, { isMonitor: (text) => place(text) === monitor, indexOf });
    await checkMachine(vms, found, portable);
    const { memoryBytes, cpus, machine, accel } = found;
    const definition: VmDefinition = {
      ...{ name, memoryBytes, cpus, machine, accel },
      disks: disks.map(({ disk }) => disk.disk),
      args: portable.args,
      adopted: true,
    };
    decodeDefinition(encodeDefinition(definition));
    await vms.allow(definition.args);
    const vm = await vms.make(definition);
    await vm.takeOver(VmProcess.adopt({ identity, qmp, qmpSocket, clock }), qmpSocket);
    return vm;
  } catch (error) {
    qmp.close();
    throw error;
  }
}

async function openMonitor(qmpSocket: string, clock: Clock): Promise<QmpClient> {
  try {
    return await QmpClient.open(qmpOverSocket(qmpSocket), { clock });
  } catch (error) {
    if (!(error instanceof DiskswarmError)) throw error;
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'EAGAIN')
      throw new DiskswarmError('TIMEOUT', `the monitor at ${qmpSocket} serves somebody else, and others wait for it`, {
        data: { qmpSocket },
        cause: error,
      });
    const why = error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
    throw new DiskswarmError(error.code, `${qmpSocket} is no monitor that is free for the agent: ${why}`, {
      data: { qmpSocket },
      cause: error,
    });
  }
}

/** Makes one of the several names of a socket: QEMU's relative paths start from its own folder. */
function placesOf(folder: string | null): (text: string) => string {
  return (text) => {
    const absolute = path.resolve(folder ?? '/', text);
    try {
      return realpathSync(absolute);
    } catch {
      return absolute;
    }
  };
}

/**
 * The disks behind these sockets, each of which has to be an export of this agent with QEMU as its only client. An agent that was restarted sees a guest
 * that does nothing only when it asks for something: `idle` allows that, where the same path is surely the same socket.
 */
async function openDisks(agent: Agent, sockets: readonly string[], { idle }: { idle: boolean }): Promise<OpenDisk[]> {
  const attached = new Map<string, { disk: ManagedDisk; info: AttachmentInfo }>();
  for (const disk of agent.disks) {
    const info = await disk.attachment.info();
    if (info !== null) attached.set(placesOf(null)(info.socket), { disk, info });
  }
  return sockets.map((socket, index) => {
    const found = attached.get(socket);
    if (found === undefined)
      throw notAdoptable('foreign-export', `no disk of this agent is attached at ${socket}, which it uses`, { socket });
    const { disk, info } = found;
    const data = { disk: disk.disk, name: disk.name };
    if (info.state !== 'writable')
      throw new DiskswarmError('ATTACHMENT_STATE', `the export of disk "${disk.name}" is ${info.state}`, { data });
    if (sockets.indexOf(socket) !== index || info.clients > 1 || (info.clients === 0 && !idle))
      throw notAdoptable(
        'clients',
        `disk "${disk.name}" has ${info.clients} connections; it has to be this QEMU's alone, and once`,
        { ...data, clients: info.clients },
      );
    return { disk, socket };
  });
}

/** The disks in the order of the arguments, which have to open each once and no other disk of this host. */
function inOrder(disks: readonly OpenDisk[], named: readonly string[]): OpenDisk[] {
  for (const { disk, socket } of disks) {
    const times = named.filter((each) => each === socket).length;
    if (times !== 1)
      throw invalid(
        `they open disk "${disk.name}" ${times} times, QEMU has it once. What is known: -drive, -blockdev and -hda with an NBD export at ${socket}`,
      );
  }
  return named.flatMap((socket) => disks.find((each) => each.socket === socket) ?? []);
}

/** What the arguments say has to be what runs, and this host has to be able to run it when it comes back. */
async function checkMachine(vms: VmManager, found: InspectedQemu, said: PortableArguments): Promise<void> {
  const { machines, version } = await vms.machinery.program();
  if (!machines.has(found.machine))
    throw notAdoptable('machine', `QEMU ${version} of this host has no machine type ${found.machine}`);
  const type = said.machine === null ? found.machine : (machines.get(said.machine) ?? said.machine);
  if (type !== found.machine) throw invalid(`they say machine type ${type}, what runs is ${found.machine}`);
  const memoryBytes =
    said.memoryBytes === null ? null : Math.ceil(said.memoryBytes / MEMORY_STEP_BYTES) * MEMORY_STEP_BYTES;
  if (memoryBytes !== null && memoryBytes !== found.bootMemoryBytes)
    throw invalid(`they say ${memoryBytes} bytes of memory, what runs has ${found.bootMemoryBytes}`);
}

function invalid(why: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `these QEMU arguments are not those of the QEMU that runs: ${why}`, {
    data: { field: 'qemu-args' },
  });
}
