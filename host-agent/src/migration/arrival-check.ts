/**
 * Whether a machine from another host may and can run here, asked before anything is moved.
 *
 * The definition comes from a host that is a writer of the machine's disks, and is trusted with no more than that: see foreign-arguments.ts.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import { memberOf } from '@diskswarm/identity';
import type { Prepare } from '@diskswarm/migration';
import type { Agent } from '../agent/agent.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { decodeDefinition, type VmDefinition } from '../vm/definition.ts';
import { checkForeignArguments } from '../vm/foreign-arguments.ts';
import type { VmManager } from '../vm/vm-manager.ts';

/** Beside the guest's memory, for QEMU itself. */
const QEMU_OVERHEAD_BYTES = 64 * 1024 * 1024;

/** What was asked for, when all of it is possible: else the error that the other host's user is told. */
export async function checkArrival(
  prepare: Prepare,
  from: HostId,
  { agent, vms, folder }: { agent: Agent; vms: VmManager; folder: string },
): Promise<{ definition: VmDefinition; disks: ManagedDisk[] }> {
  const definition = decodeDefinition(prepare.definition);
  const disks = definition.disks.map((id) => {
    const disk = agent.disks.find((known) => known.disk === id);
    if (disk === undefined)
      throw new DiskswarmError('DISK_NOT_FOUND', `this host has not joined disk ${id} of the machine`, {
        data: { disk: id },
      });
    for (const host of [from, agent.env.hostId]) {
      const member = memberOf(disk.records.roster, host);
      if (member?.role !== 'writer' || member.revoked !== undefined)
        throw new DiskswarmError('ROLE_FORBIDS', `host ${host} is no writer of disk "${disk.name}"`, {
          data: { disk: id, host },
        });
    }
    if (disk.records.chain.current.owner !== from)
      throw new DiskswarmError('NOT_OWNER', `disk "${disk.name}" belongs to host ${disk.records.chain.current.owner}`, {
        data: { disk: id, ownerHostId: disk.records.chain.current.owner },
      });
    if (disk.attachment.attachment !== null)
      throw new DiskswarmError(
        'DISK_ATTACHED',
        `disk "${disk.name}" is attached at the destination; detach it there first`,
        {
          data: { disk: id },
        },
      );
    return disk;
  });
  const { machinery } = vms;
  const { machines, version } = await machinery.program();
  if (!machines.has(definition.machine))
    throw new DiskswarmError(
      'VM_STATE',
      `QEMU ${version} at the destination has no machine type ${definition.machine} (the source runs QEMU ${prepare.qemuVersion})`,
      { data: { machine: definition.machine, version } },
    );
  if (definition.accel === 'kvm') await machinery.needsKvm();
  checkForeignArguments(definition.args, vms.allowed);
  const memoryBytes = machinery.freeMemoryBytes();
  if (definition.memoryBytes + QEMU_OVERHEAD_BYTES > memoryBytes)
    throw new DiskswarmError(
      'VM_STATE',
      `the destination has ${memoryBytes} bytes of memory left, the machine needs ${definition.memoryBytes}`,
      {
        data: { memoryBytes, neededBytes: definition.memoryBytes },
      },
    );
  const freeBytes = await machinery.freeBytes(folder);
  const neededBytes = disks.reduce((sum, disk) => sum + disk.leftBytes(), 0);
  if (freeBytes < neededBytes)
    throw new DiskswarmError(
      'DISK_FULL',
      `the destination has room for ${freeBytes} bytes, the disks need ${neededBytes}`,
      {
        data: { freeBytes, neededBytes },
      },
    );
  return { definition, disks };
}
