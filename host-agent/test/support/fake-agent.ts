/** A control socket with handlers of the test's own in the place of an agent, and a disk whose records are real. */
import path from 'node:path';
import { type DiskId, type HostId, idFromBytes, toHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  createGeneration,
  createGenesis,
  createGrant,
  createHostKeys,
  createOwner,
  encodeOwnerFile,
  firstRoster,
  type HostKeys,
  type Owner,
} from '@diskswarm/identity';
import type { ExecutionContext } from 'ava';
import type { DiskInfo, OwnerView } from '../../src/control/methods.ts';
import { type ControlHandlers, serveControl } from '../../src/control/server.ts';

/** Serves what is given; any other method is answered with INTERNAL. */
export async function fakeAgent(t: ExecutionContext, state: string, handlers: Partial<ControlHandlers>): Promise<void> {
  const server = await serveControl({ path: path.join(state, 'control.sock'), handlers: handlers as ControlHandlers });
  t.teardown(() => server.stop());
}

/** A disk "debian" of a fresh owner on a fresh host, with one generation. */
export function makeDisk(): { owner: Owner; ownerFile: Uint8Array; keys: HostKeys; view: OwnerView; info: DiskInfo } {
  const owner = createOwner(systemRandom);
  const keys = createHostKeys(systemRandom);
  const genesis = createGenesis(owner, 65_536, systemRandom);
  const { roster, secret } = firstRoster(genesis, keys.hostId, owner, systemRandom);
  const grant = createGrant(genesis, keys.hostId, owner);
  const root = idFromBytes(new Uint8Array(32).fill(7));
  const content = {
    disk: genesis.disk,
    epoch: 1,
    sequence: 1,
    parent: null,
    authority: grant.id,
    root,
    sizeBytes: 1 << 30,
    kept: true,
    wallMs: 0,
  };
  const head = createGeneration(content, keys);
  const view: OwnerView = {
    diskId: genesis.disk,
    genesis: toHex(genesis.bytes),
    rosterBundle: toHex(roster.bytes),
    epochRecords: [toHex(grant.bytes)],
    headGeneration: toHex(head.bytes),
    epoch: 1,
    sequence: 1,
    swarmSecret: toHex(secret),
    trackers: ['http://127.0.0.1:6969/announce'],
    addresses: ['127.0.0.1:6970'],
  };
  const ownerFile = encodeOwnerFile(owner, 'word', systemRandom);
  return { owner, ownerFile, keys, view, info: infoOf(genesis.disk, keys.hostId, root) };
}

function infoOf(diskId: DiskId, hostId: HostId, root: string): DiskInfo {
  return {
    diskId,
    name: 'debian',
    sizeBytes: 1 << 30,
    chunkSizeBytes: 65_536,
    sequence: 1,
    epoch: 1,
    ownerHostId: hostId,
    role: 'writer',
    root,
    piecesTotal: 16_384,
    piecesZero: 16_000,
    piecesPresent: 96,
    overlayDirtyBytes: 0,
    attached: null,
    revoked: false,
    safeToSwitchOff: false,
    safeReasons: ['no other host has generation 1'],
    forkName: null,
    base: null,
    fleet: null,
    templates: [],
  };
}
