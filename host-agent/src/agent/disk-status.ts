/** What a user is shown of disks, peers and the agent: the contract's fields, read from the parts that know them. */
import type { Clock } from '@diskswarm/core';
import type { AgentStatus, DiskInfo, DiskStatus, HistoryEntry, PeerStatus, Progress } from '../control/methods.ts';
import type { BaseInfo } from '../control/template-methods.ts';
import type { Agent } from './agent.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { PeerLink } from './peer-link.ts';

/** Progress is told at most this often. */
const PROGRESS_INTERVAL_US = 200_000;

export async function diskInfo(disk: ManagedDisk): Promise<DiskInfo> {
  const { records, content } = disk;
  const { head, chain, member } = records;
  const { newer } = records.heard;
  const view = content.head;
  const safety = await disk.safety.ofHost();
  return {
    diskId: disk.disk,
    name: disk.name,
    sizeBytes: head?.sizeBytes ?? 0,
    chunkSizeBytes: records.genesis.chunkSizeBytes,
    sequence: head?.sequence ?? 0,
    epoch: chain.current.epoch,
    ownerHostId: chain.current.owner,
    role: member?.role ?? 'reader',
    revoked: member?.revoked !== undefined,
    root: head?.root ?? '',
    piecesTotal: view?.piecesTotal ?? 0,
    piecesZero: view?.piecesZero ?? 0,
    piecesPresent: view?.piecesPresent ?? 0,
    overlayDirtyBytes: await disk.attachment.dirtyBytes(),
    attached: await disk.attachment.info(),
    safeToSwitchOff: safety.safe,
    safeReasons: safety.reasons,
    forkName: chain.current.forkName,
    newerGeneration: newer && { epoch: newer.epoch, sequence: newer.sequence, hostId: newer.host },
    base: baseInfo(disk),
    fleet: disk.base.fleet,
    templates: (disk.templates.list?.templates ?? []).map(({ sequence, generation, retired, isPublic }) => ({
      sequence,
      generationId: generation,
      retired,
      public: isPublic,
    })),
  };
}

function baseInfo(disk: ManagedDisk): BaseInfo | null {
  const { named, disk: base, waitingPieces } = disk.base;
  if (named === null) return null;
  return {
    diskId: named.disk,
    generationId: named.generation,
    name: base?.name ?? null,
    sequence: base?.records.generation(named.generation)?.sequence ?? null,
    independent: disk.completion.isComplete(),
    waitingPieces,
  };
}

export function historyOf(disk: ManagedDisk): HistoryEntry[] {
  // What a migration sealed on its way is not history.
  const kept = disk.records.history().filter((generation) => generation.kept);
  return kept.map((generation) => ({
    generationId: generation.id,
    sequence: generation.sequence,
    epoch: generation.epoch,
    root: generation.root,
    sizeBytes: generation.sizeBytes,
    hostId: generation.host,
    time: new Date(generation.wallMs).toISOString(),
    kept: generation.kept,
    group: generation.group ?? null,
  }));
}

export async function agentStatus(agent: Agent): Promise<AgentStatus> {
  const trackers = new Map<string, { url: string; ok: boolean; message: string }>();
  for (const disk of agent.disks) {
    for (const { url, ok, message } of agent.trackersOf(disk.disk))
      trackers.set(url, { url, ok: ok === true, message: message ?? '' });
  }
  return {
    hostId: agent.env.hostId,
    listen: agent.listen,
    trackers: [...trackers.values()],
    disks: await Promise.all(agent.disks.map((disk) => diskStatus(disk))),
  };
}

async function diskStatus(disk: ManagedDisk): Promise<DiskStatus> {
  const { statistics } = disk;
  return {
    ...(await diskInfo(disk)),
    faults: statistics.faults(),
    bytesBySource: statistics.bytesBySource(),
    faultBytes: statistics.faultBytes,
    backgroundBytes: statistics.backgroundBytes,
    touchedPieces: disk.attachment.resolver?.trace.count ?? 0,
    peers: disk.peers.links().map((link) => peerStatus(disk, link)),
  };
}

function peerStatus(disk: ManagedDisk, link: PeerLink): PeerStatus {
  const { channel } = link;
  const generation = disk.content.head?.subject.generation;
  return {
    hostId: link.host,
    address: channel.address,
    lanes: channel.lanes.length,
    rates: {
      receiveBytesPerSecond: Math.round(channel.received.bytesPerSecond),
      sendBytesPerSecond: Math.round(channel.sent.bytesPerSecond),
    },
    piecesClaimed: generation === undefined ? 0 : (link.claimsOf(generation)?.has.count ?? 0),
  };
}

/** Every connected host once, with the disks it shares; then the banned ones. */
export function peerList(agent: Agent): (PeerStatus & { disks: string[]; banned: boolean })[] {
  const peers = new Map<string, PeerStatus & { disks: string[]; banned: boolean }>();
  for (const disk of agent.disks) {
    for (const link of disk.peers.links()) {
      const status = peerStatus(disk, link);
      const known = peers.get(link.host);
      peers.set(link.host, {
        ...(known ?? status),
        piecesClaimed: (known?.piecesClaimed ?? 0) + status.piecesClaimed,
        disks: [...(known?.disks ?? []), disk.name],
        banned: false,
      });
    }
  }
  for (const ban of agent.env.swarm.bans()) {
    peers.set(ban.host, {
      hostId: ban.host,
      address: '',
      lanes: 0,
      rates: { receiveBytesPerSecond: 0, sendBytesPerSecond: 0 },
      piecesClaimed: 0,
      disks: [],
      banned: true,
    });
  }
  return [...peers.values()];
}

/** A function to call with the bytes done so far; it tells at most five times a second, and once at the end. */
export function progressMeter(
  clock: Clock,
  totalBytes: number,
  emit: (progress: Progress) => void,
): (doneBytes: number) => void {
  const started = clock.nowUs();
  let told = started;
  let finished = false;
  return (doneBytes) => {
    const now = clock.nowUs();
    const atEnd = doneBytes >= totalBytes;
    if (finished || (!atEnd && now - told < PROGRESS_INTERVAL_US)) return;
    told = now;
    finished = atEnd;
    const bytesPerSecond = now > started ? Math.round((doneBytes * 1_000_000) / (now - started)) : 0;
    const secondsLeft = bytesPerSecond > 0 ? Math.round((totalBytes - doneBytes) / bytesPerSecond) : null;
    emit({ event: 'progress', doneBytes, totalBytes, bytesPerSecond, secondsLeft });
  };
}
