/**
 * The agent: everything of one host, composed over injected storage, clock, random, transport and exports (docs/adr/0004).
 *
 * Start order: metadata, store, exports (so that guests reconnect first), what is here of each disk, the swarm. What a crash interrupted (an import, a removal)
 * is undone or finished at start. The control socket, the CLI and image files are left to run.ts and control-handlers.ts.
 */

import { Geometry } from '@diskswarm/chunk';
import { type Address, type DiskId, DiskswarmError, parseHashId } from '@diskswarm/core';
import {
  createGeneration,
  decodeGenesis,
  type EpochChain,
  type Generation,
  isTokenLine,
  NAME_PATTERN,
  parseInvitation,
  parseTokenLine,
} from '@diskswarm/identity';
import { PackStore } from '@diskswarm/store';
import { FetchEngine, Swarm, type TrackerStatus } from '@diskswarm/swarm';
import type { AgentOptions, MigrationPort, NewDisk } from './agent-options.ts';
import { cloneOf, type NewClone, templatesFirst } from './clone-disk.ts';
import { DiskPages } from './disk-pages.ts';
import { DiskRecords, diskKey, type InitialRecords } from './disk-records.ts';
import type { Environment } from './environment.ts';
import { importDisk } from './import-disk.ts';
import { ManagedDisk } from './managed-disk.ts';
import { MeetingPlaces } from './meeting-places.ts';
import { type MetaChange, MetaTable } from './meta-table.ts';
import { redeemToken } from './redeem-token.ts';
import { TokenDesk } from './token-desk.ts';

const META_PATH = 'meta.journal';
/** Disks of one host. */
const MAX_DISKS = 1024;

export class Agent {
  readonly #options: AgentOptions;
  readonly #disks = new Map<DiskId, ManagedDisk>();
  readonly #tokens = new TokenDesk(
    () => this.env,
    () => this.disks,
  );
  #places: MeetingPlaces | null = null;
  /** Names and disks that are being made or removed. */
  readonly #reserved = new Set<string>();
  /** Who moves running machines; null where nobody does (the simulation of disks). */
  migrations: MigrationPort | null = null;
  #env: Environment | null = null;
  #listen: Address | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  get env(): Environment {
    if (this.#env === null) throw new DiskswarmError('INTERNAL', 'the agent has not started');
    return this.#env;
  }

  /** Where peers connect. */
  get listen(): Address {
    return this.#listen ?? this.#options.listen;
  }

  /** What an invitation names. */
  reachableAddresses(): readonly Address[] {
    return this.#options.addressesOf(this.listen);
  }

  get trackers(): readonly string[] {
    return this.#options.trackers;
  }

  get disks(): ManagedDisk[] {
    return [...this.#disks.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** The disk of a name; DISK_NOT_FOUND. */
  disk(name: string): ManagedDisk {
    const found = this.disks.find((disk) => disk.name === name);
    if (found === undefined)
      throw new DiskswarmError(
        'DISK_NOT_FOUND',
        `this host knows no disk "${name}"; \`diskswarm disk ls\` lists the ones it does`,
        { data: { name } },
      );
    return found;
  }

  /** How the disk's trackers answer. */
  trackersOf(disk: DiskId): readonly TrackerStatus[] {
    return this.#places?.trackersOf(disk) ?? [];
  }

  /** Opens what is durable and begins to serve; resolves with the address peers connect to. */
  async start(): Promise<Address> {
    const { storage, clock, random, transport, relay, keys, opener, log, bootId, socketFor } = this.#options;
    const meta = await MetaTable.open(storage, META_PATH);
    const store = await PackStore.open(storage, {
      random,
      onDamage: (damage) => {
        log.warn({ ...damage }, 'a damaged chunk was dropped from the store; it is fetched again when it is needed');
        for (const disk of this.#disks.values()) disk.content.lost();
      },
      onFailure: (error) => {
        const next = "guests go on, nothing more is stored: check the state folder's disk, then restart the agent";
        log.error({ code: error.code }, `${error.message}; ${next}`);
        for (const disk of this.#disks.values()) disk.attachment.distrust();
      },
    });
    const swarm = new Swarm({
      transport,
      clock,
      random,
      keys,
      onStream: (stream) =>
        relay?.owns(stream.label) ? relay.onStream(stream) : (this.migrations?.onStream(stream) ?? null),
      doors: () => this.#tokens.doors(),
      uploadBytesPerSecond: this.#options.uploadBytesPerSecond,
      downloadBytesPerSecond: this.#options.downloadBytesPerSecond,
      onMisbehaviour: (host, error) =>
        log.warn({ host, code: error.code }, `host ${host} broke the protocol and is kept away: ${error.message}`),
    });
    const fetch = new FetchEngine({ clock, random });
    const places = new MeetingPlaces(this.#options, swarm, meta);
    this.#places = places;
    this.#env = {
      hostId: keys.hostId,
      keys,
      storage,
      meta,
      store,
      clock,
      random,
      swarm,
      fetch,
      opener,
      log,
      bootId,
      socketFor,
      migrationMail: (disk, from, message) => this.migrations?.onMessage(disk, from, message),
      disks: this.#disks,
      announce: (id) => {
        places.announceNow(id);
        const disk = this.#disks.get(id);
        if (disk !== undefined) this.#tokens.renew(disk);
      },
    };
    await this.#finishInterrupted();
    for (const key of meta.keys('disk/').filter((candidate) => candidate.endsWith('/name'))) {
      const id = parseHashId<DiskId>(key.split('/')[1] ?? '', 'a disk id in the metadata');
      if (meta.get(`removing/${id}`) !== null) this.#reserved.add(idKey(id));
      else this.#disks.set(id, new ManagedDisk(this.env, textOf(meta.get(key)), DiskRecords.load(meta, keys, id)));
    }
    // Guests wait for their exports: these come before anything that takes longer on a large disk.
    const inOrder = templatesFirst([...this.#disks.values()]);
    for (const disk of inOrder) await disk.reopen();
    for (const disk of inOrder) {
      await this.#startDisk(disk);
      await disk.records.dropRounds(disk.attachment.resolver?.view.subject.generation ?? null);
    }
    this.migrations?.beforePeers();
    this.#listen = await swarm.start({ listen: this.#options.listen });
    await places.start(this.listen);
    for (const disk of this.#disks.values()) {
      places.meet(disk);
      this.#tokens.renew(disk);
    }
    return this.listen;
  }

  /** Ends everything in order; what is attached opens again at the next start. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Makes a disk of an image: chunks and pages durable, then its records and first generation in one step. */
  async importDisk(
    wanted: NewDisk,
    options: { signal: AbortSignal; onProgress(doneBytes: number): void },
  ): Promise<{ disk: ManagedDisk; dataBytes: number; newBytes: number }> {
    const { env } = this;
    const genesis = decodeGenesis(wanted.records.genesis);
    const geometry = new Geometry(wanted.sizeBytes, genesis.chunkSizeBytes);
    const release = this.#reserve(wanted.name, genesis.disk);
    try {
      await env.meta.commit({ [importKey(genesis.disk)]: genesis.bytes });
      const pages = new DiskPages(env.store, genesis.disk);
      const before = env.store.stats().bytes;
      const { root, dataBytes } = await importDisk(
        wanted.source,
        { geometry, disk: genesis.disk, store: env.store, pages },
        options,
      );
      await env.store.sync();
      const newBytes = env.store.stats().bytes - before;
      const first = {
        disk: genesis.disk,
        sequence: 1,
        parent: null,
        root,
        sizeBytes: wanted.sizeBytes,
        kept: true,
        wallMs: env.clock.wallMs(),
      };
      const disk = await this.#create(wanted.name, wanted.records, { [importKey(genesis.disk)]: null }, ({ current }) =>
        createGeneration({ ...first, epoch: current.epoch, authority: current.authority }, env.keys),
      );
      await this.#begin(disk);
      return { disk, dataBytes, newBytes };
    } catch (error) {
      await this.#dropImport(genesis.disk);
      throw error;
    } finally {
      release();
    }
  }

  /** Makes a clone of a template: whole and durable, or not there, when this settles. NAME_EXISTS, BAD_CHUNK_SIZE, LIMIT_EXCEEDED. */
  async clone(wanted: NewClone): Promise<ManagedDisk> {
    const { disk, first, more } = cloneOf(wanted, this.env);
    const release = this.#reserve(wanted.name, disk);
    try {
      return await this.#begin(await this.#create(wanted.name, wanted.records, more, first));
    } finally {
      release();
    }
  }

  /** Becomes a member of a disk by an invitation for this host, or by a token. */
  async join(text: string, name: string | null): Promise<ManagedDisk> {
    const line = isTokenLine(text) ? parseTokenLine(text) : parseInvitation(text, this.env.keys);
    const chosen = name ?? line.name;
    const { genesis, trackers, addresses } = line;
    const release = this.#reserve(chosen, genesis.disk);
    try {
      const disk = await this.#create(
        chosen,
        'redeemer' in line
          ? await redeemToken(line, this.#options)
          : { genesis: genesis.bytes, roster: line.roster.bytes, epochs: line.epochs.map((record) => record.bytes) },
        { [diskKey(genesis.disk, 'places')]: Buffer.from(JSON.stringify({ trackers, addresses })) },
      );
      await this.#begin(disk);
      return disk;
    } finally {
      release();
    }
  }

  /** Forgets a disk and everything of it that no other disk has. DISK_ATTACHED; LAST_COPY unless `nonce` is null (see `ManagedDisk.retire`). */
  async remove(disk: ManagedDisk, nonce: Uint8Array | null): Promise<void> {
    const { meta } = this.env;
    await disk.retire(nonce);
    try {
      await meta.commit({ [`removing/${disk.disk}`]: new Uint8Array(1) });
    } catch (error) {
      disk.unretire();
      throw error;
    }
    // Nobody makes the disk anew here before nothing of the old one is left: after a failure that is after the next start.
    this.#reserved.add(idKey(disk.disk));
    this.#disks.delete(disk.disk);
    await this.#places?.leave(disk.disk);
    await disk.removeContent();
    await meta.commit({ ...disk.records.forget(), [`removing/${disk.disk}`]: null });
    this.#reserved.delete(idKey(disk.disk));
  }

  /** One disk that cannot go on keeps none of the others from it. */
  async #startDisk(disk: ManagedDisk): Promise<void> {
    try {
      await disk.start();
    } catch (error) {
      this.env.log.warn(
        { disk: disk.disk },
        `disk "${disk.name}" is here but takes no part: ${String(error)}. Restart the agent once that is mended`,
      );
    }
  }

  async #create(
    name: string,
    records: InitialRecords,
    more: MetaChange,
    first: ((chain: EpochChain) => Generation) | null = null,
  ): Promise<ManagedDisk> {
    const { env } = this;
    const genesis = decodeGenesis(records.genesis);
    const created = await DiskRecords.create(
      env.meta,
      env.keys,
      records,
      { [diskKey(genesis.disk, 'name')]: Buffer.from(name), ...more },
      first,
    );
    return new ManagedDisk(env, name, created);
  }

  async #begin(disk: ManagedDisk): Promise<ManagedDisk> {
    this.#disks.set(disk.disk, disk);
    await disk.reopen();
    await disk.start();
    this.#places?.meet(disk);
    return disk;
  }

  /** Keeps a name and a disk for whoever makes it, until the function returned is called; INVALID_ARGUMENT, NAME_EXISTS, LIMIT_EXCEEDED. */
  #reserve(name: string, disk: DiskId): () => void {
    if (!NAME_PATTERN.test(name)) {
      const cut = name.slice(0, 80);
      const why = `"${cut}" is no name: use 1 to 64 of a-z, 0-9, dot, underscore and dash`;
      throw new DiskswarmError('INVALID_ARGUMENT', why, { data: { name: cut } });
    }
    const known = this.#disks.get(disk)?.name;
    if (known !== undefined || this.#reserved.has(idKey(disk))) {
      const why =
        known === undefined
          ? 'this disk is being made or removed here just now'
          : `this host has the disk already, as "${known}"`;
      throw new DiskswarmError('NAME_EXISTS', why, { data: { disk, name: known ?? name } });
    }
    if (this.#reserved.has(name) || this.disks.some((other) => other.name === name)) {
      const why = `a disk named "${name}" exists on this host; choose another with --name`;
      throw new DiskswarmError('NAME_EXISTS', why, { data: { name } });
    }
    if (this.#disks.size >= MAX_DISKS) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `a host has at most ${MAX_DISKS} disks`, {
        data: { limit: MAX_DISKS },
      });
    }
    const reserved = [name, idKey(disk)];
    for (const key of reserved) this.#reserved.add(key);
    return () => {
      for (const key of reserved) this.#reserved.delete(key);
    };
  }

  /** Undoes imports and finishes removals that a crash interrupted; what cannot be done now is left for the next start. */
  async #finishInterrupted(): Promise<void> {
    const { meta, log } = this.env;
    const each = async (prefix: string, finish: (disk: DiskId) => Promise<void>): Promise<void> => {
      for (const key of meta.keys(prefix)) {
        const disk = parseHashId<DiskId>(key.slice(prefix.length), 'a disk id in the metadata');
        await finish(disk).catch((error: unknown) =>
          log.warn(
            { disk },
            `what is left of a disk could not be removed, and stays until the next start: ${String(error)}`,
          ),
        );
      }
    };
    await each('importing/', (id) => this.#dropImport(id));
    await each('removing/', async (id) => {
      const disk = new ManagedDisk(this.env, '', DiskRecords.load(meta, this.#options.keys, id));
      await disk.removeContent();
      await meta.commit({ ...disk.records.forget(), [`removing/${id}`]: null });
    });
  }

  async #dropImport(disk: DiskId): Promise<void> {
    if (this.env.meta.get(importKey(disk)) === null) return;
    await this.env.store.remove(disk);
    await this.env.meta.commit({ [importKey(disk)]: null });
  }

  async #stop(): Promise<void> {
    const env = this.#env;
    if (env === null) return;
    const failures: unknown[] = [];
    // What fails to end leaves nothing else open.
    const ended = async (work: Promise<unknown>): Promise<void> =>
      void (await work.catch((error: unknown) => failures.push(error)));
    this.#tokens.stop();
    if (this.#places !== null) await ended(this.#places.stop());
    await Promise.all([...this.#disks.values()].map((disk) => ended(disk.stop())));
    env.fetch.stop();
    await ended(env.swarm.stop());
    await ended(env.store.close());
    await ended(env.meta.close());
    if (failures.length > 0) throw failures[0];
  }
}

/** No name has a colon. */
function idKey(disk: DiskId): string {
  return `disk:${disk}`;
}

function importKey(disk: DiskId): string {
  return `importing/${disk}`;
}

function textOf(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? new Uint8Array(0)).toString('utf8');
}
