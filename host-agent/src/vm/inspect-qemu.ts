/**
 * What a QEMU that somebody else started says of itself over QMP, and whether it can move with its disks.
 *
 * Only asks, changes nothing. Leaves to others: which of the disks are this agent's, and what its arguments were.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { QmpClient } from '@diskswarm/qmp';
import type { Accelerator } from './definition.ts';
import { socketOfUri } from './disk-options.ts';

/** States of QEMU's migration in which there is none; `completed` of one that came from elsewhere and runs. */
const NOT_MIGRATING: readonly unknown[] = [undefined, 'none', 'cancelled', 'failed', 'completed'];

export interface InspectedQemu {
  /** The versioned name. */
  readonly machine: string;
  readonly memoryBytes: number;
  /** Of these, what it was started with. */
  readonly bootMemoryBytes: number;
  readonly cpus: number;
  readonly accel: Accelerator;
  /** Sockets of the NBD exports that it writes to, as it was told them: one for each connection. */
  readonly sockets: readonly string[];
}

/** VM_STATE when it does not run, or migrates; VM_NOT_ADOPTABLE with the reason when it could not move. */
export async function inspectQemu(qmp: QmpClient): Promise<InspectedQemu> {
  const { status, running } = await qmp.execute('query-status', {});
  if (!running)
    throw new DiskswarmError('VM_STATE', `the guest of this QEMU does not run, it is "${status}"`, {
      data: { status },
    });
  const migration = await qmp.execute('query-migrate', {});
  if (!NOT_MIGRATING.includes(migration.status))
    throw new DiskswarmError('VM_STATE', `this QEMU migrates already: "${migration.status}"`, {
      data: { status: migration.status },
    });
  const blocked = migration['blocked-reasons']?.[0];
  if (blocked !== undefined)
    throw notAdoptable('blocked', `QEMU says that this machine cannot be migrated: ${blocked}`);
  const { arch } = await qmp.execute('query-target', {});
  if (arch !== 'x86_64') throw notAdoptable('architecture', `this machine is of another kind than x86_64: ${arch}`);
  const sockets = await writableExports(qmp);
  const type = await qmp.execute('qom-get', { path: '/machine', property: 'type' });
  const memory = await qmp.execute('query-memory-size-summary', {});
  const cpus = listOf(await qmp.execute('query-cpus-fast', {}));
  const { enabled } = await qmp.execute('query-kvm', {});
  const bootMemoryBytes = bytesOf(memory['base-memory']);
  return {
    machine: String(type).replace(/-machine$/, ''),
    memoryBytes: bootMemoryBytes + bytesOf(memory['plugged-memory'] ?? 0),
    bootMemoryBytes,
    cpus: cpus.length,
    accel: enabled ? 'kvm' : 'tcg',
    sockets,
  };
}

/** What calls itself QEMU may be anything. */
function listOf<Item>(value: readonly Item[]): readonly Item[] {
  if (!Array.isArray(value))
    throw new DiskswarmError('PROTOCOL_ERROR', 'the monitor gave no list where QEMU gives one');
  return value;
}

function bytesOf(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new DiskswarmError('PROTOCOL_ERROR', 'the monitor gave no size where QEMU gives one');
  return value;
}

/** Sockets of the NBD exports that this QEMU writes to. VM_NOT_ADOPTABLE unless every writable node is an NBD client, or the raw format on one. */
export async function writableExports(qmp: QmpClient): Promise<string[]> {
  if (listOf(await qmp.execute('query-block-jobs', {})).length > 0)
    throw notAdoptable('job', 'a block job of its disks is under way; let it end first');
  const sockets: string[] = [];
  for (const node of listOf(await qmp.execute('query-named-block-nodes', { flat: true }))) {
    const { drv, ro } = node;
    if (ro) continue;
    const file = String(node.file);
    const socket = socketOfUri(file);
    if (drv === 'nbd' && socket !== null) sockets.push(socket);
    else if (socket === null && !file.startsWith('json:'))
      throw notAdoptable('local-disk', `its disk ${file} is no export of this agent: only those move`, {
        file,
        driver: drv,
      });
    else if (drv !== 'raw' || socket === null)
      throw notAdoptable('layer', `"${drv}" lies on its disk ${file}: only raw exports move while they run`, {
        file,
        driver: drv,
      });
  }
  if (sockets.length === 0) throw notAdoptable('no-disk', 'it has no disk of this agent');
  return sockets;
}

/** VM_NOT_ADOPTABLE; `reason` for programs, `why` for people. */
export function notAdoptable(
  reason: string,
  why: string,
  data: Readonly<Record<string, unknown>> = {},
): DiskswarmError {
  return new DiskswarmError('VM_NOT_ADOPTABLE', `this QEMU cannot move with its disks: ${why}`, {
    data: { ...data, reason },
  });
}
