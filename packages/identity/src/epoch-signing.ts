/**
 * Making epoch records. The caller has decided; nothing here looks at a chain except for where the new record attaches.
 *
 * A relinquish must be durable at its signer before it is sent, and a verdict before it is given: the ownership package
 * keeps that order.
 */
import {
  type Canonical,
  type DiskId,
  type EpochRecordId,
  type GenerationId,
  type HostId,
  idToBytes,
} from '@diskswarm/core';
import {
  type Acceptance,
  decodeEpochRecord,
  decodeVerdict,
  type Force,
  type Grant,
  MAX_REASON_BYTES,
  type Refusal,
  type Relinquish,
} from './epoch-record.ts';
import type { Genesis } from './genesis.ts';
import { type HostKeys, hostToBytes } from './host-keys.ts';
import type { Owner } from './owner.ts';
import { sealRecord } from './signed-record.ts';

/** Where a record attaches: the chain's head and the epoch that comes after it. */
export interface Attachment {
  readonly previous: EpochRecordId;
  readonly epoch: number;
}

function seal(
  genesis: Genesis,
  kind: string,
  at: Attachment,
  fields: { [key: string]: Canonical },
  seed: Uint8Array,
): Uint8Array {
  const body = { kind, disk: idToBytes(genesis.disk), epoch: at.epoch, previous: idToBytes(at.previous), ...fields };
  return sealRecord('epoch', body, seed).bytes;
}

/** The first epoch record of a disk: `to` owns epoch 1. */
export function createGrant(genesis: Genesis, to: HostId, owner: Owner): Grant {
  const at = { previous: genesis.disk as DiskId as string as EpochRecordId, epoch: 1 };
  return decodeEpochRecord(seal(genesis, 'grant', at, { to: hostToBytes(to) }, owner.signingSeed), genesis) as Grant;
}

/** This host gives the disk to `to`, with `final` as the last generation of its epoch; `nonce` is 16 fresh random bytes. */
export function createRelinquish(
  genesis: Genesis,
  content: {
    at: Attachment;
    to: HostId;
    finalGeneration: GenerationId;
    finalSequence: number;
    nonce: Uint8Array;
  },
  keys: HostKeys,
): Relinquish {
  const fields = {
    from: hostToBytes(keys.hostId),
    to: hostToBytes(content.to),
    final: idToBytes(content.finalGeneration),
    sequence: content.finalSequence,
    nonce: content.nonce,
  };
  return decodeEpochRecord(seal(genesis, 'relinquish', content.at, fields, keys.signingSeed), genesis) as Relinquish;
}

/** This host, the destination, takes the disk. */
export function createAcceptance(genesis: Genesis, relinquish: Relinquish, keys: HostKeys): Acceptance {
  const at = { previous: relinquish.id, epoch: relinquish.epoch };
  return decodeVerdict(
    seal(genesis, 'accept', at, { by: hostToBytes(keys.hostId) }, keys.signingSeed),
    genesis,
  ) as Acceptance;
}

/** This host, the destination, will never own the epoch; `reason` is cut to its limit. */
export function createRefusal(
  genesis: Genesis,
  relinquish: Relinquish,
  why: { code: string; reason: string },
  keys: HostKeys,
): Refusal {
  const at = { previous: relinquish.id, epoch: relinquish.epoch };
  const fields = { by: hostToBytes(keys.hostId), code: why.code, reason: cutText(why.reason, MAX_REASON_BYTES) };
  return decodeVerdict(seal(genesis, 'refuse', at, fields, keys.signingSeed), genesis) as Refusal;
}

/** The owner gives the disk to `to` from `afterGeneration` on, whatever its owning host did since. */
export function createForce(
  genesis: Genesis,
  content: { at: Attachment; to: HostId; afterGeneration: GenerationId; afterSequence: number; forkName: string },
  owner: Owner,
): Force {
  const fields = {
    to: hostToBytes(content.to),
    after: idToBytes(content.afterGeneration),
    sequence: content.afterSequence,
    fork: content.forkName,
  };
  return decodeEpochRecord(seal(genesis, 'force', content.at, fields, owner.signingSeed), genesis) as Force;
}

/** The longest beginning of `text` that takes at most `maxBytes` of UTF-8. */
export function cutText(text: string, maxBytes: number): string {
  let cut = text.toWellFormed();
  while (Buffer.byteLength(cut) > maxBytes)
    cut = cut
      .slice(0, Math.max(0, cut.length - 1))
      .toWellFormed()
      .replace(/\ufffd$/, '');
  return cut;
}
