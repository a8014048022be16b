/**
 * The records that only the owner can sign, made from what the agent knows: a new disk's, a roster with one more or one
 * less host, an invitation, a forced take-over. The key stays in this process; the agent gets signed bytes.
 *
 * What the agent says is verified here before anything is signed on top of it.
 */
import {
  type DiskId,
  DiskswarmError,
  type EpochRecordId,
  fromHex,
  type HostId,
  type TokenId,
  toHex,
} from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import {
  type Attachment,
  createForce,
  createGenesis,
  createGrant,
  createInvitation,
  createTokenLine,
  decodeEpochRecord,
  decodeGeneration,
  decodeGenesis,
  type EpochRecord,
  firstRoster,
  forcePoint,
  type Generation,
  type Genesis,
  grantMember,
  grantToken,
  memberOf,
  newToken,
  type Owner,
  type Role,
  type Roster,
  type RosterToken,
  revokeMember,
  revokeToken,
  type TokenRole,
  verifyEpochChain,
  verifyRoster,
} from '@diskswarm/identity';
import type { NewDiskRecords, OwnerView } from '../control/methods.ts';

/** The records of a new disk whose first host is `host`; BAD_CHUNK_SIZE. */
export function newDiskRecords(
  owner: Owner,
  host: HostId,
  chunkSizeBytes: number,
): NewDiskRecords & { diskId: DiskId } {
  const genesis = createGenesis(owner, chunkSizeBytes, systemRandom);
  const { roster } = firstRoster(genesis, host, owner, systemRandom);
  const grant = createGrant(genesis, host, owner);
  return {
    diskId: genesis.disk,
    genesis: toHex(genesis.bytes),
    rosterBundle: toHex(roster.bytes),
    grant: toHex(grant.bytes),
  };
}

interface CheckedView {
  readonly genesis: Genesis;
  readonly roster: Roster;
  readonly epochs: readonly EpochRecord[];
  readonly head: Generation | null;
}

/** OWNER_MISMATCH unless the disk is this owner's. */
export function assertOwnerOf(genesis: Genesis, owner: Owner): void {
  if (toHex(genesis.owner) === toHex(owner.publicKey)) return;
  throw new DiskswarmError('OWNER_MISMATCH', 'the disk belongs to another owner than this owner file', {
    data: { diskId: genesis.disk },
  });
}

function check(view: OwnerView, owner: Owner): CheckedView {
  const genesis = decodeGenesis(fromHex(view.genesis));
  assertOwnerOf(genesis, owner);
  const roster = verifyRoster(fromHex(view.rosterBundle), genesis);
  const epochs = view.epochRecords.map((record) => decodeEpochRecord(fromHex(record), genesis));
  const head = view.headGeneration === null ? null : decodeGeneration(fromHex(view.headGeneration));
  return { genesis, roster, epochs, head };
}

/** Lists `host` with `role` and invites it. `rosterBundle` is null when the roster already says so. */
export function grantHost(
  view: OwnerView,
  owner: Owner,
  grant: { host: HostId; role: Role; name: string },
): { invitation: string; rosterBundle: string | null; rosterSequence: number } {
  const { host, role, name } = grant;
  const { genesis, roster, epochs } = check(view, owner);
  const member = memberOf(roster, host);
  const listed = member !== null && member.revoked === undefined && member.role === role;
  const secret = fromHex(view.swarmSecret);
  const next = listed ? roster : grantMember({ genesis, roster, secret, host, role }, owner, systemRandom).roster;
  const { trackers, addresses } = view;
  const invitation = createInvitation({ genesis, roster: next, epochs, trackers, addresses, name, host }, owner);
  return { invitation, rosterBundle: listed ? null : toHex(next.bytes), rosterSequence: next.sequence };
}

/** A token by which `uses` hosts may come, redeemed by `redeemer`, and its line. */
export function grantByToken(
  view: OwnerView,
  owner: Owner,
  grant: { redeemer: HostId; role: TokenRole; uses: number; lifeMs: number; name: string },
): { line: string; token: RosterToken; rosterBundle: string; rosterSequence: number } {
  const { redeemer, role, uses, lifeMs, name } = grant;
  const { genesis, roster } = check(view, owner);
  const nowMs = systemClock.wallMs();
  const { token, secret } = newToken({ genesis, redeemer, role, uses, expiresMs: nowMs + lifeMs }, systemRandom);
  const change = { genesis, roster, secret: fromHex(view.swarmSecret), token, nowMs };
  const next = grantToken(change, owner, systemRandom).roster;
  const { trackers, addresses } = view;
  const line = createTokenLine({ genesis, secret, redeemer, trackers, addresses, name }, owner);
  return { line, token, rosterBundle: toHex(next.bytes), rosterSequence: next.sequence };
}

/** Takes a token back; who came by it stays. */
export function revokeByToken(
  view: OwnerView,
  owner: Owner,
  id: TokenId,
): { rosterBundle: string; rosterSequence: number } {
  const { genesis, roster } = check(view, owner);
  const next = revokeToken({ genesis, roster, secret: fromHex(view.swarmSecret), id }, owner, systemRandom).roster;
  return { rosterBundle: toHex(next.bytes), rosterSequence: next.sequence };
}

/** Revokes `host` after the newest generation that is known. */
export function revokeHost(
  view: OwnerView,
  owner: Owner,
  host: HostId,
): { rosterBundle: string; rosterSequence: number } {
  const { genesis, roster } = check(view, owner);
  const after = { epoch: view.epoch, sequence: view.sequence };
  const next = revokeMember({ genesis, roster, host, after }, owner, systemRandom).roster;
  return { rosterBundle: toHex(next.bytes), rosterSequence: next.sequence };
}

/** Gives the disk to `to` from the newest generation known here on, whatever its present owner wrote since. */
export function forceTake(
  view: OwnerView,
  owner: Owner,
  take: { to: HostId; name: string },
): { record: string; forkName: string } {
  const { genesis, roster, epochs, head } = check(view, owner);
  if (head === null) {
    throw new DiskswarmError('GENERATION_NOT_FOUND', `no generation of ${take.name} is known here to go on from`, {
      data: { name: take.name },
    });
  }
  const at = attachmentOf(epochs, genesis, roster, head);
  const forkName = `${take.name.slice(0, 48)}-fork-${at.epoch}`;
  const content = { at, to: take.to, afterGeneration: head.id, afterSequence: head.sequence, forkName };
  return { record: toHex(createForce(genesis, content, owner).bytes), forkName };
}

/** Where the record attaches; a fork that nobody named is settled by this one. */
function attachmentOf(epochs: readonly EpochRecord[], genesis: Genesis, roster: Roster, head: Generation): Attachment {
  try {
    return forcePoint(verifyEpochChain(epochs, genesis, roster), head.authority);
  } catch (error) {
    if (!(error instanceof DiskswarmError) || error.code !== 'EPOCH_CONFLICT') throw error;
    return { previous: error.data.previous as EpochRecordId, epoch: error.data.epoch as number };
  }
}
