/**
 * Who owned a disk when: the chain of epoch records from the genesis, verified as a whole (design D3, D6).
 *
 * Records form a tree; every one must be entitled by the one it follows. Where two follow the same one the disk was forked:
 * the branch with the latest forced take-over is the disk and the others are named as forks; without one it is EPOCH_CONFLICT.
 * Signatures were checked when the records were decoded. Keeping and exchanging records is left to the callers.
 */
import { DiskswarmError, type EpochRecordId, type GenerationId, type HostId } from '@diskswarm/core';
import type { EpochRecord, Force, Relinquish } from './epoch-record.ts';
import type { Attachment } from './epoch-signing.ts';
import type { Genesis } from './genesis.ts';
import { MAX_EPOCH_RECORDS } from './limits.ts';
import { memberOf, type Roster } from './roster.ts';

/** A generation named by id and sequence number. */
export interface Boundary {
  readonly generation: GenerationId;
  readonly sequence: number;
}

/** One host's time as owner. */
export interface EpochEntry {
  readonly epoch: number;
  readonly owner: HostId;
  /** The record that made it owner: what its generations name as authority. */
  readonly authority: EpochRecordId;
  /** Its generations follow this one; null at the beginning of the disk. */
  readonly after: Boundary | null;
  /** Its last generation that counts; null while it owns the disk. */
  readonly until: Boundary | null;
  /** The destination refused: this epoch has no generations. */
  readonly refused: boolean;
  /** Name of the fork where this epoch was forced. */
  readonly forkName: string | null;
  /** Where a record that ends this epoch attaches. */
  readonly head: Attachment;
}

/** A verified chain. */
export interface EpochChain {
  /** The owner now. */
  readonly current: EpochEntry;
  /** Every epoch of the disk in order, the refused ones included. */
  readonly entries: readonly EpochEntry[];
  /** Every record that was given, without repeats, those of forks included: what is kept and sent. */
  readonly records: readonly EpochRecord[];
  /** Records that lead away from the chain that counts. */
  readonly forks: readonly EpochRecord[];
  /** Highest epoch of any record: a forced take-over must go beyond it. */
  readonly highestEpoch: number;
}

/** Who owns the disk as of a record. */
interface Tenure {
  readonly owner: HostId;
  readonly after: Boundary | null;
  /** The tenure that a refusal brings back. */
  readonly before: Tenure | null;
}

interface Node {
  readonly record: EpochRecord;
  readonly children: Node[];
  readonly tenure: Tenure;
  /** Highest epoch of a forced take-over in this record or after it; 0 without one. */
  forced: number;
}

/**
 * Verifies `records` (any order, repeats allowed) as the history of this disk.
 *
 * GENERATION_UNTRUSTED when one is not entitled or does not connect, LIMIT_EXCEEDED above 4096 records, EPOCH_CONFLICT for
 * a fork that nobody named; its data has `epoch` and `previous`, from which a forced take-over may go on.
 */
export function verifyEpochChain(records: readonly EpochRecord[], genesis: Genesis, roster: Roster): EpochChain {
  const unique = [...new Map(records.map((record) => [record.id, record])).values()];
  if (unique.length > MAX_EPOCH_RECORDS) {
    throw new DiskswarmError('LIMIT_EXCEEDED', `more than ${MAX_EPOCH_RECORDS} epoch records`, {
      data: { limit: MAX_EPOCH_RECORDS },
    });
  }
  const nodes = linkNodes(unique, genesis, roster);
  for (const node of nodes.toReversed()) {
    const own = node.record.kind === 'force' ? node.record.epoch : 0;
    node.forced = Math.max(own, ...node.children.map((child) => child.forced));
  }
  const highestEpoch = Math.max(...unique.map((record) => record.epoch), 0);
  const path: EpochRecord[] = [];
  const roots = nodes.filter((node) => node.record.previous === (genesis.disk as string));
  for (let next = choose(roots, highestEpoch); next; next = choose(next.children, highestEpoch)) path.push(next.record);
  const { entries, current } = entriesOf(path);
  const onPath = new Set(path.map((record) => record.id));
  return { current, entries, records: unique, forks: unique.filter(({ id }) => !onPath.has(id)), highestEpoch };
}

/** The chain of both lists: what a host knows and what a peer offers. Errors as of `verifyEpochChain`. */
export function mergeEpochRecords(
  chain: EpochChain,
  offered: readonly EpochRecord[],
  genesis: Genesis,
  roster: Roster,
): EpochChain {
  return verifyEpochChain([...chain.records, ...offered], genesis, roster);
}

/** The epoch whose generations name `authority`, when it is part of the chain that counts. */
export function entryOf(chain: EpochChain, authority: EpochRecordId): EpochEntry | null {
  return chain.entries.find((entry) => entry.authority === authority) ?? null;
}

/** Where a forced take-over attaches that goes on from a generation of `authority`: its epoch lies beyond all others. */
export function forcePoint(chain: EpochChain, authority: EpochRecordId): Attachment {
  const entry = entryOf(chain, authority) ?? chain.current;
  return { previous: entry.head.previous, epoch: chain.highestEpoch + 1 };
}

/** Every record with its tenure, parents before children; refuses what is not entitled or does not connect. */
function linkNodes(records: readonly EpochRecord[], genesis: Genesis, roster: Roster): Node[] {
  const following = Map.groupBy(records, (record) => record.previous as string);
  const nodes: Node[] = [];
  const visit = (record: EpochRecord, parent: Node | null): void => {
    if (record.disk !== genesis.disk) untrusted('a record of another disk', record);
    if (record.kind !== 'refuse' && memberOf(roster, record.to) === null)
      untrusted('the roster does not list a host', record);
    const node = { record, children: [], tenure: parent ? follow(parent, record) : begin(record), forced: 0 };
    parent?.children.push(node);
    nodes.push(node);
  };
  for (const record of following.get(genesis.disk) ?? []) visit(record, null);
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index] as Node;
    for (const record of following.get(node.record.id) ?? []) visit(record, node);
  }
  if (nodes.length < records.length) untrusted('a record does not follow from the genesis');
  return nodes;
}

function begin(record: EpochRecord): Tenure {
  if (record.kind !== 'grant' || record.epoch !== 1) return untrusted('the first record is no grant', record);
  return { owner: record.to, after: null, before: null };
}

/** The tenure after `record`, or an error when the one before does not entitle it. */
function follow(parent: Node, record: EpochRecord): Tenure {
  const { tenure, record: previous } = parent;
  switch (record.kind) {
    case 'grant':
      return untrusted('a grant after the beginning', record);
    case 'refuse': {
      const offered = previous.kind === 'relinquish' && previous.to === record.by && previous.epoch === record.epoch;
      return (offered && tenure.before) || untrusted('a refusal by a host that was offered nothing', record);
    }
    case 'force':
      if (record.epoch <= previous.epoch) untrusted('a forced take-over of a past epoch', record);
      break;
    case 'relinquish':
      if (record.epoch !== previous.epoch + 1) untrusted('an epoch was skipped', record);
      if (record.from !== tenure.owner || record.to === record.from)
        untrusted('its signer did not own the disk', record);
  }
  const { after } = tenure;
  const boundary = boundaryOf(record);
  const otherStart = after?.sequence === boundary.sequence && after.generation !== boundary.generation;
  if (otherStart || (after && after.sequence > boundary.sequence))
    untrusted('it ends an epoch before it began', record);
  return { owner: record.to, after: boundary, before: tenure };
}

function boundaryOf(record: Relinquish | Force): Boundary {
  return record.kind === 'force'
    ? { generation: record.afterGeneration, sequence: record.afterSequence }
    : { generation: record.finalGeneration, sequence: record.finalSequence };
}

/** The epochs along a verified path. */
function entriesOf(path: readonly EpochRecord[]): { entries: EpochEntry[]; current: EpochEntry } {
  const entries: EpochEntry[] = [];
  let owning = -1;
  let before = -1;
  for (const record of path) {
    const head = { previous: record.id, epoch: record.epoch + 1 };
    if (record.kind === 'refuse') {
      entries[owning] = { ...(entries[owning] as EpochEntry), refused: true };
      entries[before] = { ...(entries[before] as EpochEntry), until: null, head };
      owning = before;
      continue;
    }
    const after = record.kind === 'grant' ? null : boundaryOf(record);
    const ending = entries[owning];
    if (ending) entries[owning] = { ...ending, until: after };
    const forkName = record.kind === 'force' ? record.forkName : null;
    before = owning;
    owning = entries.length;
    entries.push({
      epoch: record.epoch,
      owner: record.to,
      authority: record.id,
      after,
      until: null,
      refused: false,
      forkName,
      head,
    });
  }
  const current = entries[owning];
  return current ? { entries, current } : untrusted('no record makes anybody owner');
}

/** The branch that counts among records that follow the same one. */
function choose(siblings: readonly Node[], highestEpoch: number): Node | undefined {
  const [first, second] = siblings.toSorted((left, right) => right.forced - left.forced);
  if (!first || !second || first.forced > second.forced) return first;
  const ids = siblings.map(({ record }) => record.id);
  throw new DiskswarmError('EPOCH_CONFLICT', `the disk was forked: ${ids.join(' and ')} follow the same epoch record`, {
    data: { records: ids, previous: first.record.previous, epoch: highestEpoch + 1 },
  });
}

function untrusted(why: string, record?: EpochRecord): never {
  const data = record ? { reason: 'chain', record: record.id, epoch: record.epoch } : { reason: 'chain' };
  throw new DiskswarmError('GENERATION_UNTRUSTED', `the chain of epoch records does not verify: ${why}`, { data });
}
