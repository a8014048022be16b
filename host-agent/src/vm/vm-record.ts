/**
 * What is durable of a virtual machine on this host: its definition, the process that runs it, and how it ended.
 *
 * Kept in the host's metadata under `vm/NAME`, changed before what it tells of happens. Canonical; never a secret.
 */
import { decodeCanonical, encodeCanonical, RecordReader } from '@diskswarm/core';
import { decodeIdentity, encodeIdentity, type ProcessIdentity } from '../state/process-identity.ts';
import { decodeDefinition, encodeDefinition, MAX_VM_DEFINITION_BYTES, type VmDefinition } from './definition.ts';

/**
 * `running`: QEMU runs it, or ran it when the agent ended. `incoming`: QEMU waits for its memory. `moved`: it runs on another host.
 * `inDoubt`: a migration ended where only a person can say which host runs it.
 */
export type VmState = 'running' | 'incoming' | 'stopped' | 'moved' | 'inDoubt';
const STATES: readonly VmState[] = ['running', 'incoming', 'stopped', 'moved', 'inDoubt'];

export interface VmRecord {
  readonly definition: VmDefinition;
  readonly state: VmState;
  /** null while no process runs it. */
  readonly process: ProcessIdentity | null;
  /** Somebody else started the QEMU that runs it: its monitor's socket is his. `process` is then null also where it could not be told. */
  readonly foreign?: true;
  readonly qmpSocket: string;
  readonly consoleSocket: string;
  /** Why it is in this state, in plain words; empty when there is nothing to say. */
  readonly reason: string;
  /** The report of its last migration, JSON; empty before the first. */
  readonly report: string;
}

const MAX_REASON_BYTES = 4096;
const MAX_REPORT_BYTES = 256 * 1024;
const MAX_RECORD_BYTES = MAX_VM_DEFINITION_BYTES + MAX_REPORT_BYTES + 16 * 1024;
const FIELDS = ['v', 'definition', 'state', 'process', 'qmp', 'console', 'reason', 'report', 'foreign'];

export function encodeVmRecord(record: VmRecord): Uint8Array {
  return encodeCanonical({
    v: 1,
    definition: encodeDefinition(record.definition),
    state: record.state,
    process: record.process === null ? '' : encodeIdentity(record.process),
    qmp: record.qmpSocket,
    console: record.consoleSocket,
    reason: record.reason.slice(-MAX_REASON_BYTES / 4),
    report: record.report.length > MAX_REPORT_BYTES / 4 ? '' : record.report,
    ...(record.foreign === true ? { foreign: 1 } : {}),
  });
}

/** FORMAT_INVALID for what is no record. */
export function decodeVmRecord(bytes: Uint8Array): VmRecord {
  const what = 'record of a virtual machine';
  const reader = new RecordReader(decodeCanonical(bytes, { maxBytes: MAX_RECORD_BYTES, what }), what, FIELDS);
  reader.integer('v', 1, 1);
  const state = reader.text('state', 16);
  return {
    definition: decodeDefinition(reader.bytes('definition', { max: MAX_VM_DEFINITION_BYTES })),
    state: STATES.find((known) => known === state) ?? 'stopped',
    process: decodeIdentity(reader.text('process', 1024)),
    qmpSocket: reader.text('qmp', 1024),
    consoleSocket: reader.text('console', 1024),
    reason: reader.text('reason', MAX_REASON_BYTES),
    report: reader.text('report', MAX_REPORT_BYTES),
    ...(reader.has('foreign') && reader.integer('foreign', 1, 1) === 1 ? { foreign: true } : {}),
  };
}
