/**
 * What this host gives to everyone as torrents: generations that their owner published for everyone, and whose user asked for it here.
 *
 * That a torrent is given is durable before it begins, and goes on at the next start. Whether a generation may be given is looked up again at every read.
 * The client runs in a thread of its own, which is there only while there is something to give, and is started again when it ends by itself.
 */
import {
  type DiskId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  formatAddress,
  type GenerationId,
  parseAddress,
  parseHashId,
  RecordReader,
  sleep,
  type Timer,
} from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import { encodeMetainfo, formatMagnet, MAX_TORRENT_TRACKERS, parseMetainfo, pieceBytesFor } from '@diskswarm/metainfo';
import type { Agent } from '../agent/agent.ts';
import { diskKey } from '../agent/disk-records.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { Turns } from '../agent/turns.ts';
import { GenerationBytes } from './generation-bytes.ts';
import type { SeedOwnerCalls, SeedStatus, SeedThreadCalls } from './thread-protocol.ts';
import { startThread, type TorrentThread } from './thread-start.ts';
import { TorrentFiles } from './torrent-files.ts';

/** Generations that one host gives as torrents. */
const MAX_SEEDED_TORRENTS = 64;
const MAX_RECORD_BYTES = 32 * 1024;
const PORT_KEY = 'torrents/port';
const RESTART_FIRST_MS = 5_000;
const RESTART_LATEST_MS = 300_000;

/** A torrent of a generation, as it is given or was just made. */
export interface SeededTorrent {
  readonly disk: ManagedDisk;
  readonly generation: Generation;
  readonly infoHash: string;
  readonly metainfo: Uint8Array;
  readonly magnet: string;
  readonly sizeBytes: number;
  readonly pieceBytes: number;
}

/** What is durable of a torrent, besides its file. */
interface TorrentRecord {
  /** Of its one file. It never changes, or the torrent would be another one. */
  readonly name: string;
  readonly trackers: readonly string[];
}

interface Seed {
  readonly disk: ManagedDisk;
  readonly generation: Generation;
  readonly infoHash: string;
  readonly metainfo: Uint8Array;
  readonly name: string;
  readonly trackers: readonly string[];
  readonly pieceBytes: number;
  readonly bytes: GenerationBytes;
}

export class TorrentSeeds {
  readonly #agent: Agent;
  readonly #files: TorrentFiles;
  readonly #limited: boolean;
  readonly #turns = new Turns();
  readonly #seeds = new Map<string, Seed>();
  readonly #stopping = new AbortController();
  #thread: TorrentThread<SeedThreadCalls> | null = null;
  /** Where the thread listens. */
  #port = 0;
  #restart: Timer | null = null;
  #restartMs = RESTART_FIRST_MS;

  /** `limited`: this host's uploads have a limit. */
  constructor(agent: Agent, folder: string, limited: boolean) {
    this.#agent = agent;
    this.#files = new TorrentFiles(folder);
    this.#limited = limited;
  }

  /** Goes on giving what was given before; one that cannot go on, or whose bytes are looked for, keeps none of the others from it. */
  async start(): Promise<void> {
    const generations = this.#agent.disks.flatMap(({ records }) => records.history().map(({ id }) => id));
    await this.#files.keepOnly(new Set(generations));
    await Promise.all(
      this.#agent.disks.flatMap((disk) => {
        const prefix = diskKey(disk.disk, 'torrent/');
        return this.#agent.env.meta.keys(prefix).map((key) => this.#resume(disk, key.slice(prefix.length)));
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DiskswarmError('ABORTED', 'the agent ends'));
    this.#restart?.cancel();
    await this.#thread?.stop();
  }

  /** Makes the torrent of a generation and gives it from now on. TEMPLATE_NOT_FOUND unless it is a template for everyone; LIMIT_EXCEEDED. */
  async give(
    wanted: { disk: ManagedDisk; generation: Generation; trackers: readonly string[] },
    { signal, onProgress }: { signal: AbortSignal; onProgress(doneBytes: number): void },
  ): Promise<SeededTorrent> {
    const { disk, generation } = wanted;
    assertPublic(disk, generation);
    const before = this.#seedOf(generation);
    if (before === undefined && this.#seeds.size >= MAX_SEEDED_TORRENTS) {
      const why = `a host gives at most ${MAX_SEEDED_TORRENTS} torrents; end one with --stop`;
      throw new DiskswarmError('LIMIT_EXCEEDED', why, { data: { limit: MAX_SEEDED_TORRENTS } });
    }
    const trackers = [...new Set([...wanted.trackers, ...(before?.trackers ?? []), ...this.#agent.trackers])];
    const record: TorrentRecord = {
      name: before?.name ?? `${disk.name}-${generation.sequence}.raw`,
      trackers: trackers.slice(0, MAX_TORRENT_TRACKERS),
    };
    const ending = AbortSignal.any([signal, this.#stopping.signal]);
    const seed = await this.#prepare(disk, generation, record, { signal: ending, onProgress });
    const key = seedKey(disk.disk, generation.id);
    return this.#turns.run(async () => {
      await this.#agent.env.meta.commit({ [key]: encodeCanonical({ ...record }) });
      try {
        await this.#add(seed);
      } catch (error) {
        this.#seeds.delete(seed.infoHash);
        await this.#agent.env.meta.commit({ [key]: null });
        throw error;
      }
      return this.#describe(seed);
    });
  }

  /** Gives it no more; false when it was not given. */
  end(disk: ManagedDisk, generation: Generation): Promise<boolean> {
    return this.#turns.run(async () => {
      const key = seedKey(disk.disk, generation.id);
      const known = this.#agent.env.meta.get(key) !== null;
      if (known) await this.#agent.env.meta.commit({ [key]: null });
      const seed = this.#seedOf(generation);
      if (seed !== undefined) await this.#drop(seed);
      return known;
    });
  }

  /** Lets go of what may be given no more: a disk was removed. */
  async prune(): Promise<void> {
    for (const seed of this.#seeds.values()) if (!this.#mayGive(seed)) await this.#turns.run(() => this.#drop(seed));
  }

  /** What is given, and how that goes. */
  async list(): Promise<(SeededTorrent & Omit<SeedStatus, 'infoHash'>)[]> {
    const status = (await this.#thread?.calls.call('status', null).catch(() => null)) ?? [];
    return [...this.#seeds.values()]
      .filter((seed) => this.#mayGive(seed))
      .map((seed) => {
        const { peers = 0, uploadedBytes = 0 } = status.find(({ infoHash }) => infoHash === seed.infoHash) ?? {};
        return { ...this.#describe(seed), peers, uploadedBytes };
      });
  }

  #seedOf(generation: Generation): Seed | undefined {
    return [...this.#seeds.values()].find((seed) => seed.generation.id === generation.id);
  }

  async #resume(disk: ManagedDisk, id: string): Promise<void> {
    try {
      const generation = disk.records.generation(parseHashId<GenerationId>(id, 'a generation in the metadata'));
      if (generation === null || !isPublic(disk, generation)) return;
      const options = { signal: this.#stopping.signal, onProgress: () => {} };
      const seed = await this.#prepare(disk, generation, this.#recordOf(disk.disk, generation.id), options);
      await this.#turns.run(() => this.#add(seed));
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#agent.env.log.warn(
        { disk: disk.disk },
        `a torrent of disk "${disk.name}" is not given; \`diskswarm disk torrent\` tries again: ${String(error)}`,
      );
    }
  }

  /** In turn with everything that changes what is given. */
  async #add(seed: Seed): Promise<void> {
    const thread = this.#thread;
    if (this.#seeds.has(seed.infoHash)) await thread?.calls.call('remove', seed.infoHash);
    this.#seeds.set(seed.infoHash, seed);
    if (thread === null) await this.#run();
    else await thread.calls.call('add', addArguments(seed));
  }

  #recordOf(disk: DiskId, generation: GenerationId): TorrentRecord {
    const bytes = this.#agent.env.meta.get(seedKey(disk, generation)) ?? new Uint8Array(0);
    const what = 'record of a torrent';
    const reader = new RecordReader(decodeCanonical(bytes, { maxBytes: MAX_RECORD_BYTES, what }), what, [
      'name',
      'trackers',
    ]);
    const trackers = reader
      .list('trackers', MAX_TORRENT_TRACKERS)
      .map((each) => Buffer.from(each as Uint8Array).toString('utf8'));
    return { name: reader.text('name', 255), trackers };
  }

  /** The torrent of a generation; hashed when that was not done before. */
  async #prepare(
    disk: ManagedDisk,
    generation: Generation,
    { name, trackers }: TorrentRecord,
    options: { signal: AbortSignal; onProgress(doneBytes: number): void },
  ): Promise<Seed> {
    const bytes = new GenerationBytes(disk, await disk.viewOf(generation.id));
    const { sizeBytes } = generation;
    const pieceBytes = pieceBytesFor(sizeBytes, disk.records.genesis.chunkSizeBytes);
    const kept = await this.#files.read(generation.id);
    const usable = kept !== null && kept.totalBytes === sizeBytes && kept.pieceBytes === pieceBytes;
    const hashes = usable ? kept.hashes : await bytes.hashes(pieceBytes, options);
    const metainfo = encodeMetainfo({ name, sizeBytes, pieceBytes, hashes, trackers });
    await this.#files.write(generation.id, metainfo);
    const { infoHash } = parseMetainfo(metainfo);
    return { disk, generation, infoHash, metainfo, name, trackers, pieceBytes, bytes };
  }

  /** Starts the thread and gives it all there is. */
  async #run(): Promise<void> {
    this.#restart?.cancel();
    if (this.#thread !== null) return;
    const { env } = this.#agent;
    const ready = Promise.withResolvers<void>();
    const local: SeedOwnerCalls = {
      ready: () => ready.resolve(),
      read: ({ infoHash, offsetBytes, lengthBytes }, { signal }) =>
        this.#read(infoHash, offsetBytes, lengthBytes, signal),
      spend: (lengthBytes, { signal }) => this.#spend(lengthBytes, signal),
    };
    const { host } = parseAddress(this.#agent.listen);
    const port = Number(Buffer.from(env.meta.get(PORT_KEY) ?? []).toString('utf8') || '0');
    const thread = startThread<SeedThreadCalls>(
      { kind: 'seed', listen: formatAddress(host, port), limited: this.#limited },
      local,
      (error) => {
        ready.reject(error);
        if (this.#thread === thread) this.#ended(error);
      },
    );
    await ready.promise;
    if (this.#stopping.signal.aborted) {
      await thread.stop();
      throw this.#stopping.signal.reason;
    }
    this.#thread = thread;
    const bound = await thread.calls.call('port', null);
    if (bound !== port) await env.meta.commit({ [PORT_KEY]: Buffer.from(String(bound)) });
    this.#port = bound;
    for (const seed of this.#seeds.values()) await thread.calls.call('add', addArguments(seed));
    this.#restartMs = RESTART_FIRST_MS;
  }

  #ended(error: Error): void {
    this.#thread = null;
    if (this.#stopping.signal.aborted || this.#seeds.size === 0) return;
    this.#agent.env.log.warn({}, `torrents are not given for ${this.#restartMs / 1000} s: ${String(error)}`);
    this.#restart?.cancel();
    this.#restart = this.#agent.env.clock.setTimer(
      this.#restartMs,
      () => void this.#turns.run(() => this.#run()).catch((again: unknown) => this.#ended(again as Error)),
      { background: true },
    );
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_LATEST_MS);
  }

  async #read(infoHash: string, offsetBytes: number, lengthBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const seed = this.#seeds.get(infoHash);
    if (seed === undefined || !this.#mayGive(seed)) {
      if (seed !== undefined) void this.#turns.run(() => this.#drop(seed));
      throw new DiskswarmError('TEMPLATE_NOT_FOUND', 'this torrent is given no more', { data: { infoHash } });
    }
    return seed.bytes.read(offsetBytes, lengthBytes, { signal: AbortSignal.any([signal, this.#stopping.signal]) });
  }

  /** Torrents and other hosts share what may leave. */
  async #spend(lengthBytes: number, signal: AbortSignal): Promise<void> {
    const { swarm, clock } = this.#agent.env;
    while (!swarm.uploadLimit.open) await sleep(clock, Math.max(1, swarm.uploadLimit.waitMs), { signal });
    swarm.uploadLimit.take(lengthBytes);
  }

  /** Its disk is here, its user wants it given, and its owner lets everyone have it. */
  #mayGive({ disk, generation }: Seed): boolean {
    return this.#agent.env.meta.get(seedKey(disk.disk, generation.id)) !== null && isPublic(disk, generation);
  }

  async #drop(seed: Seed): Promise<void> {
    this.#seeds.delete(seed.infoHash);
    await this.#thread?.calls.call('remove', seed.infoHash).catch(() => {}); // A thread that ended gives nothing.
    if (this.#seeds.size > 0) return;
    const thread = this.#thread;
    this.#thread = null;
    await thread?.stop();
  }

  #describe({ disk, generation, infoHash, metainfo, name, trackers, pieceBytes }: Seed): SeededTorrent {
    const peers = this.#agent
      .reachableAddresses()
      .map((address) => formatAddress(parseAddress(address).host, this.#port));
    const magnet = formatMagnet({ infoHash, name, trackers, peers });
    return { disk, generation, infoHash, metainfo, magnet, sizeBytes: generation.sizeBytes, pieceBytes };
  }
}

/** The owner let everyone have it. One that was retired stays so: whoever had the link has the content. */
function isPublic(disk: ManagedDisk, generation: Generation): boolean {
  return disk.templates.list?.templates.some((each) => each.generation === generation.id && each.isPublic) === true;
}

function assertPublic(disk: ManagedDisk, generation: Generation): void {
  if (isPublic(disk, generation)) return;
  const name = `${disk.name}@${generation.sequence}`;
  throw new DiskswarmError(
    'TEMPLATE_NOT_FOUND',
    `a torrent is for everyone, and ${name} is not: its owner publishes it with \`diskswarm disk publish ${name} --public\``,
    { data: { name: disk.name, sequence: generation.sequence } },
  );
}

function addArguments({ infoHash, metainfo, generation, pieceBytes }: Seed): Parameters<SeedThreadCalls['add']>[0] {
  return { infoHash, metainfo, sizeBytes: generation.sizeBytes, pieceBytes };
}

function seedKey(disk: DiskId, generation: GenerationId): string {
  return diskKey(disk, `torrent/${generation}`);
}
