/**
 * What the control socket can ask of an agent, carried out: each method of control/methods.ts in a few lines.
 *
 * Parameters were validated at the socket. Image files are read and written here, because only users name paths.
 */
import path from 'node:path';
import {
  DiskswarmError,
  formatAddress,
  fromHex,
  type HostId,
  PRIORITY,
  parseAddress,
  pieceIndex,
  toHex,
} from '@diskswarm/core';
import { decodeEpochRecord, NONCE_BYTES, parseHostId } from '@diskswarm/identity';
import type { ControlParams } from '../control/methods.ts';
import type { ControlHandlers } from '../control/server.ts';
import { type ImageSource, openImage } from '../images/image-source.ts';
import { type ImagePart, writeImage } from '../images/image-writer.ts';
import { openTorrent } from '../torrent/torrent-source.ts';
import type { Agent } from './agent.ts';
import { assertNotNeeded } from './clone-disk.ts';
import { agentStatus, diskInfo, historyOf, peerList, progressMeter } from './disk-status.ts';
import type { GenerationView } from './generation-view.ts';
import type { ManagedDisk } from './managed-disk.ts';
import { handoverError } from './ownership-driver.ts';
import { rosterInfo } from './roster-info.ts';
import { templateHandlers } from './template-handlers.ts';
import { within } from './time-limit.ts';

/** How long a hand-over waits for the other host's answer before it is in doubt. */
const HANDOVER_TIMEOUT_MS = 30_000;
/** How long `take` waits for an owner that may have to seal first. */
const TAKE_TIMEOUT_MS = 300_000;
/** How long `join` waits for what the other hosts know. */
const FIRST_NEWS_MS = 5_000;
/** How long `rm` waits for a fresh receipt. */
const RECEIPT_TIMEOUT_MS = 5_000;

/** What disks, peers and the store are asked; virtual machines have handlers of their own. */
export function controlHandlers(
  agent: Agent,
  scratchFolder: string,
): Omit<ControlHandlers, `vm.${string}` | `torrent.${string}` | `dashboard.${string}`> {
  return {
    ...templateHandlers(agent),
    'host.id': async () => ({ hostId: agent.env.hostId }),
    'disk.import': async (params, { signal, emit }) => {
      const image = await openSource(agent, params, scratchFolder, signal);
      try {
        const { genesis, rosterBundle, grant } = params.records;
        const progress = progressMeter(agent.env.clock, image.sizeBytes, emit);
        const { disk, dataBytes, newBytes } = await agent.importDisk(
          {
            name: params.name,
            sizeBytes: image.sizeBytes,
            source: image,
            records: { genesis: fromHex(genesis), roster: fromHex(rosterBundle), epochs: [fromHex(grant)] },
          },
          { signal, onProgress: progress },
        );
        return { ...(await diskInfo(disk)), importedBytes: dataBytes, newBytes };
      } finally {
        await image.close();
      }
    },
    'disk.ownerView': async ({ name }) => {
      const { records } = agent.disk(name);
      const secret = records.secrets[0];
      // A roster made from what a revoked host knows would bring its old secret back for everybody.
      if (secret === undefined || records.member?.revoked !== undefined)
        throw new DiskswarmError('REVOKED', `this host was revoked from disk "${name}"`, { data: { name } });
      return {
        diskId: records.disk,
        genesis: toHex(records.genesis.bytes),
        rosterBundle: toHex(records.roster.bytes),
        epochRecords: records.chain.records.map((record) => toHex(record.bytes)),
        headGeneration: records.head === null ? null : toHex(records.head.bytes),
        epoch: records.chain.current.epoch,
        sequence: records.head?.sequence ?? 0,
        swarmSecret: toHex(secret),
        trackers: agent.trackers,
        addresses: agent.reachableAddresses(),
      };
    },
    'disk.applyRoster': async ({ name, rosterBundle }) => {
      const disk = agent.disk(name);
      await disk.applyRoster(fromHex(rosterBundle));
      return { sequence: disk.records.roster.sequence };
    },
    'disk.join': async ({ invitation, name }, { signal }) => {
      const disk = await agent.join(invitation, name);
      await firstNews(agent, disk, signal);
      return diskInfo(disk);
    },
    'disk.ls': async () => ({ disks: await Promise.all(agent.disks.map((disk) => diskInfo(disk))) }),
    'disk.info': async ({ name }) => diskInfo(agent.disk(name)),
    'disk.history': async ({ name }) => ({ generations: historyOf(agent.disk(name)) }),
    'disk.members': async ({ name }) => rosterInfo(agent.disk(name).records.roster, agent.env.clock.wallMs()),
    'disk.rm': async ({ name, force }, { signal }) => {
      const disk = agent.disk(name);
      if (disk.attachment.attachment !== null)
        throw new DiskswarmError('DISK_ATTACHED', `disk "${name}" is attached; detach it first`, { data: { name } });
      if (!force) assertNotNeeded(disk, agent.disks);
      await agent.remove(disk, force ? null : await assertDroppable(agent, disk, signal));
      return { name, removed: true };
    },
    'disk.attach': async ({ name, readOnly, socket }) => {
      const disk = agent.disk(name);
      const info = await disk.attach({ readOnly, socket: socket === null ? null : path.resolve(socket) });
      const { warning } = disk.records.heard;
      return warning === null ? info : { ...info, warning };
    },
    'disk.detach': async ({ name }) => {
      await agent.disk(name).detach();
      return { name, detached: true };
    },
    'disk.seal': async ({ name }, { signal }) => {
      const { generation, changedPieces } = await agent.disk(name).seal({ signal });
      return {
        generationId: generation.id,
        sequence: generation.sequence,
        epoch: generation.epoch,
        root: generation.root,
        changedPieces,
      };
    },
    'disk.handover': async ({ name, to }, { signal, emit }) => {
      const disk = agent.disk(name);
      const host = parseHostId(to);
      await assertHandoverPossible(disk, host);
      emit({ event: 'phase', phase: 'sealing, and offering the disk' });
      await handOver(agent, disk, host, signal);
      return ownershipOf(disk);
    },
    'disk.take': async ({ name }, { signal, emit }) => {
      const disk = agent.disk(name);
      await take(agent, disk, signal, (phase) => emit({ event: 'phase', phase }));
      return ownershipOf(disk);
    },
    'disk.takeForce': async ({ name, record }) => {
      const disk = agent.disk(name);
      decodeEpochRecord(fromHex(record), disk.records.genesis);
      // A new epoch of its own would only cut it off from what its guest wrote and nobody sealed.
      if (disk.ownership.standing().state === 'writable' && disk.records.heard.newer === null)
        return { ...ownershipOf(disk), forkName: disk.records.chain.current.forkName ?? '' };
      await disk.applyEpoch(fromHex(record));
      const { current } = disk.records.chain;
      if (current.owner !== agent.env.hostId)
        throw new DiskswarmError('NOT_OWNER', `the take-over does not make this host the owner of disk "${name}"`, {
          data: { name, ownerHostId: current.owner },
        });
      return { ...ownershipOf(disk), forkName: current.forkName ?? '' };
    },
    'disk.pull': async ({ name }, { signal, emit }) => {
      const disk = agent.disk(name);
      await pull(agent, disk, signal, emit);
      return diskInfo(disk);
    },
    'disk.wait': async ({ name, sequence, complete, safe, timeoutSeconds }, { signal }) => {
      const disk = agent.disk(name);
      await within(
        {
          clock: agent.env.clock,
          limitMs: timeoutSeconds === null ? null : timeoutSeconds * 1000,
          signal,
          what: `disk "${name}"`,
        },
        async (limited) => {
          if (complete === true) await disk.completion.complete({ signal: limited });
          await disk.changed.until(
            async () =>
              (sequence === undefined || (disk.records.head?.sequence ?? 0) >= sequence) &&
              (safe !== true || (await disk.safety.ofHost()).safe),
            { signal: limited },
          );
        },
      );
      return diskInfo(disk);
    },
    'disk.export': async ({ name, sequence, path: file, format }, { signal, emit }) => {
      const disk = agent.disk(name);
      const generation = disk.templates.generationAt(sequence);
      const view = await disk.viewOf(generation.id);
      const progress = progressMeter(agent.env.clock, generation.sizeBytes, emit);
      await writeImage(path.resolve(file), format, generation.sizeBytes, exportParts(disk, view, signal, progress), {
        signal,
      });
      return { path: path.resolve(file), sequence: generation.sequence, sizeBytes: generation.sizeBytes };
    },
    'peer.ls': async () => ({ peers: peerList(agent) }),
    'peer.unban': async ({ hostId }) => {
      const host = parseHostId(hostId);
      agent.env.fetch.unban(host);
      return { hostId, unbanned: agent.env.swarm.unban(host) };
    },
    status: async () => agentStatus(agent),
    'store.stats': async () => {
      const { chunks, bytes, packs, packBytes, deadBytes } = agent.env.store.stats();
      return { chunks, bytes, packs, packBytes, deadBytes };
    },
    'store.verify': async (_params, { signal, emit }) => {
      const progress = progressMeter(agent.env.clock, agent.env.store.stats().bytes, emit);
      const { chunksChecked, bytesChecked, damages } = await agent.env.store.verify({
        signal,
        onProgress: (state) => progress(state.bytesChecked),
      });
      for (const disk of agent.disks) await disk.content.relearn();
      return {
        chunks: chunksChecked,
        bytes: bytesChecked,
        corrupt: damages.map((damage) => damage.id ?? `${damage.path}:${damage.positionBytes}`),
      };
    },
  };
}

function openSource(
  agent: Agent,
  { path: location, format, file }: ControlParams<'disk.import'>,
  scratchFolder: string,
  signal: AbortSignal,
): Promise<ImageSource> {
  if (format !== 'torrent') return openImage(location, format, scratchFolder, { signal });
  const listen = formatAddress(parseAddress(agent.listen).host, 0);
  return openTorrent({ location, file: file ?? null, scratchFolder, listen, clock: agent.env.clock, signal });
}

function ownershipOf(disk: ManagedDisk): { epoch: number; ownerHostId: string; sequence: number } {
  const { chain, head } = disk.records;
  return { epoch: chain.current.epoch, ownerHostId: chain.current.owner, sequence: head?.sequence ?? 0 };
}

async function assertHandoverPossible(disk: ManagedDisk, host: HostId): Promise<void> {
  const { source } = disk.ownership;
  if (source.phase === 'relinquished') return;
  if (disk.peers.link(host) === undefined && disk.records.owned) {
    throw new DiskswarmError(
      'PEER_UNREACHABLE',
      `host ${host} is not connected; start its agent, and give both a tracker or --peer`,
      { data: { name: disk.name, host, connected: disk.peers.links().map((link) => link.host) } },
    );
  }
}

/** Hands the disk over and waits for the verdict; without one in time the hand-over is in doubt. Asking again waits again. */
async function handOver(agent: Agent, disk: ManagedDisk, to: HostId, signal: AbortSignal): Promise<void> {
  const before = disk.ownership.source;
  // Asked again after a doubt that settled itself: it is where it was to go.
  if (before.phase === 'idle' && before.last?.result === 'done' && disk.records.chain.current.owner === to) return;
  if (before.phase === 'relinquished' && before.relinquish.to !== to)
    throw handoverError(disk.disk, disk.name, before) as Error;
  if (before.phase !== 'relinquished') await disk.handOver(to);
  try {
    await within(
      { clock: agent.env.clock, limitMs: HANDOVER_TIMEOUT_MS, signal, what: `disk "${disk.name}"` },
      (limited) => disk.changed.until(() => disk.ownership.source.phase === 'idle', { signal: limited }),
    );
  } catch (error) {
    if (!(error instanceof DiskswarmError) || error.code !== 'TIMEOUT') throw error;
  }
  const failure = handoverError(disk.disk, disk.name, disk.ownership.source);
  if (failure !== null) throw failure;
}

/** Waits a moment for the newest generation, so that a disk that was joined can be used at once; without a host in reach it comes later. */
async function firstNews(agent: Agent, disk: ManagedDisk, signal: AbortSignal): Promise<void> {
  try {
    await within({ clock: agent.env.clock, limitMs: FIRST_NEWS_MS, signal, what: 'the first generation' }, (limited) =>
      disk.changed.until(() => disk.content.head !== null, { signal: limited }),
    );
  } catch (error) {
    if (!(error instanceof DiskswarmError) || error.code !== 'TIMEOUT') throw error;
  }
}

/** Asks the owner for the disk until this host owns it. */
async function take(
  agent: Agent,
  disk: ManagedDisk,
  signal: AbortSignal,
  phase: (text: string) => void,
): Promise<void> {
  const owns = (): boolean => disk.ownership.standing().state === 'writable';
  if (owns()) return;
  if (disk.records.member?.revoked !== undefined)
    throw new DiskswarmError('REVOKED', `this host was revoked from disk "${disk.name}"`, {
      data: { name: disk.name },
    });
  phase('looking for the host that owns the disk');
  await within(
    {
      clock: agent.env.clock,
      limitMs: HANDOVER_TIMEOUT_MS,
      signal,
      what: `connecting to host ${disk.records.chain.current.owner}, which owns disk "${disk.name}"`,
    },
    (limited) =>
      disk.changed.until(() => owns() || disk.peers.link(disk.records.chain.current.owner) !== undefined, {
        signal: limited,
      }),
  );
  phase('asking it for the disk');
  const refused = disk.askOwner(agent.env.random.bytes(NONCE_BYTES));
  await within(
    {
      clock: agent.env.clock,
      limitMs: TAKE_TIMEOUT_MS,
      signal,
      what: `the answer of the host that owns disk "${disk.name}"`,
    },
    (limited) => disk.changed.until(() => owns() || refused() !== null, { signal: limited }),
  );
  const failure = refused();
  if (failure !== null) throw failure;
}

/** Waits for a fresh receipt that lets the copy go, and returns the nonce it was asked for with. */
async function assertDroppable(agent: Agent, disk: ManagedDisk, signal: AbortSignal): Promise<Uint8Array> {
  const head = disk.records.head;
  const nonce = agent.env.random.bytes(NONCE_BYTES);
  if (head !== null) disk.peers.sendAll({ kind: 'receiptRequest', disk: disk.disk, generation: head.id, nonce });
  let reasons: readonly string[] = [];
  const droppable = async (): Promise<boolean> => {
    const safety = await disk.safety.ofCopy(nonce);
    reasons = safety.reasons;
    return safety.safe;
  };
  try {
    if (disk.peers.links().length > 0)
      await within({ clock: agent.env.clock, limitMs: RECEIPT_TIMEOUT_MS, signal, what: 'a receipt' }, (limited) =>
        disk.changed.until(droppable, { signal: limited }),
      );
    else if (!(await droppable())) throw new DiskswarmError('TIMEOUT', 'no host is connected');
  } catch (error) {
    if (!(error instanceof DiskswarmError) || error.code !== 'TIMEOUT') throw error;
    throw new DiskswarmError(
      'LAST_COPY',
      `disk "${disk.name}" stays: ${reasons.join('; ')}. With --force it is removed all the same`,
      { data: { name: disk.name, reasons } },
    );
  }
  return nonce;
}

async function pull(
  agent: Agent,
  disk: ManagedDisk,
  signal: AbortSignal,
  emit: Parameters<typeof progressMeter>[2],
): Promise<void> {
  const total = disk.leftBytes();
  const progress = progressMeter(agent.env.clock, total, emit);
  const done = new AbortController();
  const watch = disk.changed
    .until(
      () => {
        progress(Math.max(0, total - disk.leftBytes()));
        return disk.completion.isComplete();
      },
      { signal: done.signal },
    )
    .catch(() => {}); // Only ends early when the pull does.
  try {
    await disk.completion.complete({ signal });
  } finally {
    done.abort();
    await watch;
  }
}

async function* exportParts(
  disk: ManagedDisk,
  view: GenerationView,
  signal: AbortSignal,
  progress: (doneBytes: number) => void,
): AsyncGenerator<ImagePart> {
  const { geometry } = view.subject;
  for (let index = 0; index < geometry.pieces; index++) {
    signal.throwIfAborted();
    const piece = pieceIndex(index);
    const bytes = await disk.chunks.read(view, piece, PRIORITY.bulk, { signal });
    if (bytes !== null)
      yield { offsetBytes: geometry.startOf(piece), bytes: bytes.subarray(0, geometry.lengthOf(piece)) };
    progress(geometry.startOf(piece) + geometry.lengthOf(piece));
  }
}
