/**
 * When a host may be switched off, and when it may drop its copy of a disk (design D7). Pure; it only reads receipts.
 *
 * Both need a promise by another host: the present owner's, or a keeper's, to be complete through the newest generation
 * this host knows. In doubt the answer is no, with the reason in plain words.
 */
import type { DiskId, HostId } from '@diskswarm/core';
import {
  comparePositions,
  type EpochChain,
  entryOf,
  type Generation,
  memberOf,
  type Position,
  type Receipt,
  type Roster,
  shortHost,
} from '@diskswarm/identity';
import type { SourceState } from './source-state.ts';

/** One disk as this host sees it. */
export interface DiskView {
  readonly disk: DiskId;
  readonly name: string;
  /** Null where this host has no records of the disk yet. */
  readonly chain: EpochChain | null;
  readonly roster: Roster;
  readonly source: SourceState;
  /** True when any chunk, page or overlay data of the disk is or was here. */
  readonly hasData: boolean;
  /** Bytes in the overlay that no generation holds. */
  readonly overlayDirtyBytes: number;
  /** The newest generation that this host knows or made; null when it never saw one. */
  readonly newest: Generation | null;
  /** Verified receipts of other hosts, in any order. */
  readonly receipts: readonly Receipt[];
}

/** An answer with its reasons; `reasons` is empty when `safe`. */
export interface Safety {
  readonly safe: boolean;
  readonly reasons: readonly string[];
}

/** Whether `host` holds nothing alone, over all its disks. */
export function safeToSwitchOff(view: { host: HostId; disks: readonly DiskView[] }): Safety {
  const reasons = view.disks.flatMap((disk) =>
    diskSafety(disk, view.host).reasons.map((reason) => `${disk.name}: ${reason}`),
  );
  return { safe: reasons.length === 0, reasons };
}

/** The same for one disk. Never true at its owner, and never for the only complete copy. */
export function diskSafety(view: DiskView, host: HostId): Safety {
  const reason = whyNeeded(view, host);
  return reason === null ? { safe: true, reasons: [] } : { safe: false, reasons: [reason] };
}

function whyNeeded(view: DiskView, host: HostId): string | null {
  const { chain, source, newest } = view;
  if (view.overlayDirtyBytes > 0)
    return `${view.overlayDirtyBytes} written bytes are in no generation yet; seal the disk`;
  if (source.phase === 'relinquished')
    return `it was offered to ${shortHost(source.relinquish.to)}, whose answer has not come; reconnect the two`;
  if (source.phase !== 'idle') return 'it is being handed over';
  if (chain?.current.owner === host) return 'this host owns the disk; hand it over first';
  if (!view.hasData) return null;
  if (chain === null || newest === null) return 'it is not known which generation is the newest';
  const entry = entryOf(chain, newest.authority);
  if (entry === null || (entry.until && newest.sequence > entry.until.sequence))
    return 'this host holds a fork of the disk that nobody else has';
  if (view.receipts.some((receipt) => covers(receipt, { ...view, newest, chain, host }))) return null;
  return `no receipt says that ${shortHost(chain.current.owner)}, which owns the disk, or a keeper has all of generation ${newest.sequence}`;
}

/** Whether a receipt says that what this host has is complete elsewhere, at a host that must keep it. */
function covers(
  receipt: Receipt,
  view: { disk: DiskId; newest: Generation; chain: EpochChain; roster: Roster; host: HostId },
): boolean {
  const { disk, newest, chain, roster, host } = view;
  const member = memberOf(roster, receipt.host);
  if (receipt.host === host || receipt.disk !== disk || !member || member.revoked) return false;
  if (receipt.host !== chain.current.owner && member.role !== 'keeper') return false;
  const order = comparePositions(receipt, newest);
  return order > 0 || (order === 0 && receipt.generation === newest.id);
}

/**
 * Whether this host may drop its copy now: as `diskSafety`, but against a receipt that answers `nonce`, asked for just before;
 * and a keeper only once the owner has released what it pinned.
 */
export function mayDropCopy(
  view: DiskView & { pinned: Position | null; released: Position | null },
  host: HostId,
  nonce: Uint8Array,
): Safety {
  const { pinned, released, roster } = view;
  const isKeeper = memberOf(roster, host)?.role === 'keeper';
  if (isKeeper && pinned && (released === null || comparePositions(released, pinned) < 0)) {
    return {
      safe: false,
      reasons: [`the owner has not released generation ${pinned.sequence}, which this keeper pins`],
    };
  }
  const fresh = view.receipts.filter((receipt) => Buffer.compare(receipt.nonce, nonce) === 0);
  return diskSafety({ ...view, receipts: fresh }, host);
}
