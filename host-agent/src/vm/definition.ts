/**
 * What a virtual machine is: everything another host needs to start its twin. Pure.
 *
 * Disks are named by their ids, so that a definition means the same on every host. Encoded as canonical records; what comes from another host is checked
 * here for its form, and in foreign-arguments.ts for what it may do.
 */
import {
  type Canonical,
  type DiskId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  idFromBytes,
  idToBytes,
  RecordReader,
} from '@diskswarm/core';
import { NAME_PATTERN } from '@diskswarm/identity';

/** Disks of one machine. */
export const MAX_VM_DISKS = 16;
/** QEMU arguments besides those that diskswarm gives, and the bytes of each. */
export const MAX_VM_ARGUMENTS = 256;
export const MAX_VM_ARGUMENT_BYTES = 4096;
export const MAX_VM_MEMORY_BYTES = 2 ** 44;
export const MAX_VM_CPUS = 512;
/** An encoded definition. */
export const MAX_VM_DEFINITION_BYTES = 48 * 1024;

export type Accelerator = 'kvm' | 'tcg';

export interface VmDefinition {
  readonly name: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** A versioned machine type, for example pc-i440fx-7.2: an alias may mean another machine elsewhere. */
  readonly machine: string;
  readonly accel: Accelerator;
  /** In the order of their drives. */
  readonly disks: readonly DiskId[];
  /** QEMU arguments besides those that diskswarm gives. */
  readonly args: readonly string[];
  /** The arguments are all that there is to the machine, with a place for each disk: somebody else started it first. See adopted-arguments.ts. */
  readonly adopted?: true;
}

const FIELDS = ['name', 'memory', 'cpus', 'machine', 'accel', 'disks', 'args', 'adopted'];

/** The definition as fields of a canonical record. */
function definitionFields(definition: VmDefinition): { readonly [key: string]: Canonical } {
  const { name, memoryBytes, cpus, machine, accel, disks, args } = definition;
  return {
    name,
    memory: memoryBytes,
    cpus,
    machine,
    accel,
    disks: disks.map((disk) => idToBytes(disk)),
    args: [...args],
    ...(definition.adopted === true ? { adopted: 1 } : {}),
  };
}

/** LIMIT_EXCEEDED for more than another host would take. */
export function encodeDefinition(definition: VmDefinition): Uint8Array {
  const bytes = encodeCanonical(definitionFields(definition));
  if (bytes.length > MAX_VM_DEFINITION_BYTES)
    throw new DiskswarmError(
      'LIMIT_EXCEEDED',
      `the definition of machine "${definition.name}" has ${bytes.length} bytes, at most ${MAX_VM_DEFINITION_BYTES} can be; give it fewer or shorter QEMU arguments`,
      { data: { vm: definition.name, limit: MAX_VM_DEFINITION_BYTES } },
    );
  return bytes;
}

/** FORMAT_INVALID for whatever is no definition. */
export function decodeDefinition(bytes: Uint8Array): VmDefinition {
  const what = 'definition of a virtual machine';
  const reader = new RecordReader(decodeCanonical(bytes, { maxBytes: MAX_VM_DEFINITION_BYTES, what }), what, FIELDS);
  const invalid = (why: string): DiskswarmError => new DiskswarmError('FORMAT_INVALID', `${what}: ${why}`);
  const name = reader.text('name', 64);
  if (!NAME_PATTERN.test(name)) throw invalid('a malformed name');
  const machine = reader.text('machine', 64);
  if (!/^[a-z0-9._-]+$/.test(machine)) throw invalid('a malformed machine type');
  const accel = reader.text('accel', 8);
  if (accel !== 'kvm' && accel !== 'tcg') throw invalid('an unknown accelerator');
  const disks = reader.list('disks', MAX_VM_DISKS).map((item) => {
    if (!(item instanceof Uint8Array) || item.length !== 32) throw invalid('a malformed disk id');
    return idFromBytes<DiskId>(item);
  });
  if (disks.length === 0 || new Set(disks).size !== disks.length) throw invalid('no disk, or one twice');
  const args = reader.list('args', MAX_VM_ARGUMENTS).map((item) => {
    if (!(item instanceof Uint8Array) || item.length > MAX_VM_ARGUMENT_BYTES || item.includes(0))
      throw invalid('a malformed argument');
    return new TextDecoder('utf-8', { fatal: true }).decode(item);
  });
  return {
    name,
    memoryBytes: reader.integer('memory', 1, MAX_VM_MEMORY_BYTES),
    cpus: reader.integer('cpus', 1, MAX_VM_CPUS),
    machine,
    accel,
    disks,
    args,
    ...(reader.has('adopted') && reader.integer('adopted', 1, 1) === 1 ? { adopted: true } : {}),
  };
}
