/**
 * The form of every method's parameters, checked where they enter the agent. The single place that imports `zod`.
 *
 * What an id or a record means is left to the handlers; here stand types, lengths and names. Unknown fields are refused.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_INVITATION_CHARS, NAME_PATTERN } from '@diskswarm/identity';
import { isTracker, MAX_TORRENT_TRACKERS } from '@diskswarm/metainfo';
import { z } from 'zod';
import {
  MAX_VM_ARGUMENT_BYTES,
  MAX_VM_ARGUMENTS,
  MAX_VM_CPUS,
  MAX_VM_DISKS,
  MAX_VM_MEMORY_BYTES,
} from '../vm/definition.ts';
import type { ControlMethod, ControlParams } from './methods.ts';

const MAX_PATH_CHARS = 4096;
const MAX_SECONDS = 10 * 365 * 86_400;

const name = z.string().regex(NAME_PATTERN, 'takes 1 to 64 of a-z, 0-9, ".", "_" and "-"');
const path = z
  .string()
  .min(1)
  .max(MAX_PATH_CHARS)
  .refine((text) => !text.includes('\0'), 'holds a zero byte');
const hex = z
  .string()
  .regex(/^(?:[0-9a-f]{2})+$/, 'is not lower-case hex')
  .max(1024 * 1024);
const hostId = z.string().regex(/^[0-9a-f]{136}$/, 'is not a host id (136 lower-case hex digits)');
const sequence = z.int().min(1);
const argumentsOfQemu = z.array(z.string().max(MAX_VM_ARGUMENT_BYTES)).max(MAX_VM_ARGUMENTS);
const newDiskRecords = z.strictObject({ genesis: hex, rosterBundle: hex, grant: hex });
const nothing = z.strictObject({});
const named = z.strictObject({ name });

const SCHEMAS: { readonly [M in ControlMethod]: z.ZodType<ControlParams<M>> } = {
  'host.id': nothing,
  'disk.import': z.strictObject({
    path,
    name,
    chunkSizeBytes: z.int().min(1),
    format: z.enum(['raw', 'qcow2', 'nbd', 'torrent']),
    file: path.exactOptional(),
    records: newDiskRecords,
  }),
  'disk.ownerView': named,
  'disk.applyRoster': z.strictObject({ name, rosterBundle: hex }),
  'disk.join': z.strictObject({
    invitation: z.string().min(1).max(MAX_INVITATION_CHARS),
    name: name.nullable(),
  }),
  'disk.templateView': z.strictObject({ name, sequence: sequence.nullable(), complete: z.boolean() }),
  'disk.applyTemplates': z.strictObject({ name, record: hex }),
  'disk.cloneView': z.strictObject({ name, sequence: sequence.nullable() }),
  'disk.clone': z.strictObject({
    template: name,
    sequence: sequence.nullable(),
    name,
    fleet: name.exactOptional(),
    records: newDiskRecords,
  }),
  'disk.ls': nothing,
  'disk.info': named,
  'disk.history': named,
  'disk.members': named,
  'disk.rm': z.strictObject({ name, force: z.boolean() }),
  'disk.attach': z.strictObject({ name, readOnly: z.boolean(), socket: path.nullable() }),
  'disk.detach': named,
  'disk.seal': named,
  'disk.handover': z.strictObject({ name, to: hostId }),
  'disk.take': named,
  'disk.takeForce': z.strictObject({ name, record: hex }),
  'disk.pull': named,
  'disk.wait': z.strictObject({
    name,
    sequence: sequence.exactOptional(),
    complete: z.boolean().exactOptional(),
    safe: z.boolean().exactOptional(),
    timeoutSeconds: z.number().min(0).max(MAX_SECONDS).nullable(),
  }),
  'disk.export': z.strictObject({ name, sequence: sequence.nullable(), path, format: z.enum(['raw', 'qcow2']) }),
  'torrent.give': z.strictObject({
    name,
    sequence: sequence.nullable(),
    trackers: z
      .array(z.string().refine(isTracker, 'is no announce URL of a tracker (http, https, udp, ws or wss)'))
      .max(MAX_TORRENT_TRACKERS),
    path: path.nullable(),
  }),
  'torrent.end': z.strictObject({ name, sequence: sequence.nullable() }),
  'torrent.ls': nothing,
  'peer.ls': nothing,
  'peer.unban': z.strictObject({ hostId }),
  status: nothing,
  'store.stats': nothing,
  'vm.start': z.strictObject({
    name,
    disks: z.array(name).max(MAX_VM_DISKS),
    memoryBytes: z.int().min(1).max(MAX_VM_MEMORY_BYTES).nullable(),
    cpus: z.int().min(1).max(MAX_VM_CPUS).nullable(),
    args: argumentsOfQemu,
  }),
  'vm.adopt': z.strictObject({ name, qmpSocket: path, args: argumentsOfQemu.min(1) }),
  'vm.stop': z.strictObject({ name, force: z.boolean() }),
  'vm.ls': nothing,
  'vm.info': named,
  'vm.migrate': z.strictObject({
    name,
    to: hostId,
    plan: z.boolean(),
    disk: z.enum(['precopy', 'hybrid', 'postcopy']),
    memory: z.enum(['precopy', 'postcopy']),
    maxDowntimeMs: z.int().min(1).max(600_000),
    bandwidthBytesPerSecond: z.int().min(1024).nullable(),
    compress: z.boolean(),
    autoConverge: z.boolean(),
    throttle: z.enum(['bradford', 'adaptive', 'off']),
  }),
  'vm.migrateStatus': z.strictObject({ name, watch: z.boolean() }),
  'vm.migrateCancel': named,
  'vm.allow': z.strictObject({ args: argumentsOfQemu }),
  'dashboard.open': nothing,
  'dashboard.sign': nothing,
  'dashboard.signed': z.strictObject({
    id: z.int().min(1),
    invitation: z.string().min(1).max(MAX_INVITATION_CHARS).nullable(),
    reason: z.string().max(500),
  }),
  'store.verify': nothing,
};

/** True for the name of a method. */
export function isMethod(text: unknown): text is ControlMethod {
  return typeof text === 'string' && Object.hasOwn(SCHEMAS, text);
}

/** The parameters, checked; INVALID_ARGUMENT names the field in `data.field`. */
export function parseParams<M extends ControlMethod>(method: M, params: unknown): ControlParams<M> {
  const result = SCHEMAS[method].safeParse(params);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? 'params' : issue.path.join('.');
  throw new DiskswarmError('INVALID_ARGUMENT', `${method}: ${field}: ${issue?.message ?? 'is malformed'}`, {
    data: { method, field },
  });
}
