/**
 * One diskswarm host under test: an agent process of its own on a state folder of its own, asked over its control socket.
 *
 * The agent is the one that users run (the launcher with `agent`); the owner's key, which agents never see, stays in this
 * process. Commands are not measured through the CLI, whose start and key derivation would count as the agent's.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromHex, type HostId, toHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import {
  type ControlEvent,
  type ControlMethod,
  type ControlParams,
  type ControlResult,
  callAgent,
} from '@diskswarm/host-agent';
import {
  createGenesis,
  createGrant,
  createInvitation,
  createOwner,
  decodeEpochRecord,
  decodeGeneration,
  decodeGenesis,
  firstRoster,
  grantMember,
  type Owner,
  publishTemplate,
  verifyRoster,
} from '@diskswarm/identity';
import { type Service, serve } from '../programs.ts';

const LAUNCHER = fileURLToPath(new URL('../../../../host-agent/bin/diskswarm.js', import.meta.url));
const PLAIN_AGENT = fileURLToPath(new URL('./plain-agent.ts', import.meta.url));
const CHUNK_BYTES = 65536;

/** How an agent is run. */
export interface AgentHostOptions {
  readonly stateDir: string;
  /** A command in front, such as taskset or `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** @default 127.0.0.1:0 */
  readonly listen?: string;
  /** Peers that it dials, HOST:PORT. */
  readonly peers?: readonly string[];
  /** Nodes through which it enters a DHT, HOST:PORT; left out to stay out of it. */
  readonly dht?: readonly string[];
  /** `plain` is our own unencrypted wire, which exists for benchmarks alone. @default tls */
  readonly wire?: 'tls' | 'plain';
  /** Of disks that are imported here. @default 65536 */
  readonly chunkBytes?: number;
}

export class AgentHost {
  readonly stateDir: string;
  readonly #options: AgentHostOptions;
  readonly #owner: Owner = createOwner(systemRandom);
  #service: Service | null = null;
  #listen = '';
  #readyMs = 0;
  #hostId = '' as HostId;

  constructor(options: AgentHostOptions) {
    this.#options = options;
    this.stateDir = options.stateDir;
  }

  get #chunkBytes(): number {
    return this.#options.chunkBytes ?? CHUNK_BYTES;
  }

  get pid(): number {
    if (this.#service === null) throw new Error('the agent does not run');
    return this.#service.pid;
  }

  get hostId(): HostId {
    return this.#hostId;
  }

  /** When it said that it is ready; as `performance.now` counts. */
  get readyMs(): number {
    return this.#readyMs;
  }

  /** Where its peers connect. */
  get listen(): string {
    return this.#listen;
  }

  async start(): Promise<void> {
    const { prefix = [], listen = '127.0.0.1:0', peers = [], dht, wire = 'tls' } = this.#options;
    const dialled = peers.flatMap((peer) => ['--peer', peer]);
    const entered = dht === undefined ? [] : ['--dht', ...dht.flatMap((node) => ['--bootstrap', node])];
    mkdirSync(this.stateDir, { recursive: true, mode: 0o700 });
    const program =
      wire === 'tls'
        ? [LAUNCHER, 'agent', '--listen', listen, '--state', this.stateDir, ...dialled, ...entered, '--json']
        : ['--conditions=source', PLAIN_AGENT, listen, this.stateDir];
    const command = [...prefix, process.execPath, ...program];
    this.#service = await serve(command, (line) => line.includes('"ready"'));
    this.#readyMs = performance.now();
    this.#listen = (JSON.parse(this.#service.firstLine) as { listen: string }).listen;
    this.#hostId = (await this.call('host.id', {})).hostId as HostId;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    const service = this.#service;
    this.#service = null;
    await service?.stop();
  }

  call<M extends ControlMethod>(
    method: M,
    params: ControlParams<M>,
    onEvent?: (event: ControlEvent<M>) => void,
  ): Promise<ControlResult<M>> {
    return callAgent(this.stateDir, method, params, onEvent === undefined ? {} : { onEvent });
  }

  /** Imports a raw image as a new disk. */
  import(path: string, name: string): Promise<ControlResult<'disk.import'>> {
    const records = this.newDiskRecords();
    return this.call('disk.import', { path, name, chunkSizeBytes: this.#chunkBytes, format: 'raw', records });
  }

  /** Owner-signed records of a disk whose first host is this one. */
  newDiskRecords(): { genesis: string; rosterBundle: string; grant: string } {
    const genesis = createGenesis(this.#owner, this.#chunkBytes, systemRandom);
    const { roster } = firstRoster(genesis, this.#hostId, this.#owner, systemRandom);
    const grant = createGrant(genesis, this.#hostId, this.#owner);
    return { genesis: toHex(genesis.bytes), rosterBundle: toHex(roster.bytes), grant: toHex(grant.bytes) };
  }

  /** Makes the newest generation of a disk a template for everyone. */
  async publish(name: string): Promise<void> {
    const { genesis } = await this.call('disk.ownerView', { name });
    const view = await this.call('disk.templateView', { name, sequence: null, complete: true });
    const generation = decodeGeneration(fromHex(view.generation));
    const change = { genesis: decodeGenesis(fromHex(genesis)), list: null, generation, isPublic: true };
    const { bytes } = publishTemplate(change, this.#owner);
    await this.call('disk.applyTemplates', { name, record: toHex(bytes) });
  }

  /** Makes `guest` a writer of one of this host's disks and has it join. */
  async invite(guest: AgentHost, name: string): Promise<void> {
    const view = await this.call('disk.ownerView', { name });
    const genesis = decodeGenesis(fromHex(view.genesis));
    const roster = verifyRoster(fromHex(view.rosterBundle), genesis);
    const epochs = view.epochRecords.map((record) => decodeEpochRecord(fromHex(record), genesis));
    const secret = fromHex(view.swarmSecret);
    const host = guest.hostId;
    const next = grantMember({ genesis, roster, secret, host, role: 'writer' }, this.#owner, systemRandom).roster;
    await this.call('disk.applyRoster', { name, rosterBundle: toHex(next.bytes) });
    const { trackers, addresses } = view;
    const content = { genesis, roster: next, epochs, trackers, addresses, name, host };
    await guest.call('disk.join', { invitation: createInvitation(content, this.#owner), name: null });
  }

  /** Attaches a disk; gives the NBD URI. */
  async attach(name: string, options: { readOnly?: boolean } = {}): Promise<string> {
    return (await this.call('disk.attach', { name, readOnly: options.readOnly === true, socket: null })).uri;
  }
}
