/** A shipped agent on a simulated machine, with one imported disk and exports opened in place: no sockets, no peers. */
import { type Address, DiskswarmError, type StorageFile } from '@diskswarm/core';
import { createInvitation, type HostKeys } from '@diskswarm/identity';
import { createSimulation, type SimHost, type Simulation } from '@diskswarm/sim';
import { Agent } from '../../src/agent/agent.ts';
import { controlHandlers } from '../../src/agent/control-handlers.ts';
import type { ManagedDisk } from '../../src/agent/managed-disk.ts';
import { type LocalAttachment, localOpener } from '../../src/attachment/local-attachment.ts';
import { type OwnedDisk, ownedDisk } from './records.ts';

export const NAME = 'desk';
export const PIECE_BYTES = 16_384;
export const PIECES = 300;
export const never = { signal: new AbortController().signal };

/** One host: the owner's `home`, which imports the disk, or `office`, or another with keys of its own; these know where home is. */
export class OneHost {
  readonly simulation: Simulation;
  readonly machine: SimHost;
  readonly records: OwnedDisk;
  readonly warnings: string[] = [];
  readonly opened: LocalAttachment[] = [];
  agent: Agent;

  readonly #name: string;
  readonly #keys: HostKeys;

  constructor(simulation: Simulation, name = 'home', keys: HostKeys | null = null) {
    this.simulation = simulation;
    this.#name = name;
    this.machine = simulation.host(name);
    this.records = ownedDisk(simulation.seed);
    this.#keys = keys ?? this.records[name === 'home' ? 'home' : 'office'];
    this.agent = this.#newAgent();
  }

  get disk(): ManagedDisk {
    return this.agent.disk(NAME);
  }

  /** The export that was opened last. */
  get attachment(): LocalAttachment {
    return this.opened.at(-1)!;
  }

  get handlers(): ReturnType<typeof controlHandlers> {
    return controlHandlers(this.agent, '');
  }

  #newAgent(): Agent {
    const { storage, clock, random, transport } = this.machine;
    const warn = (_fields: object, message: string): void => void this.warnings.push(message);
    return new Agent({
      storage,
      clock,
      random,
      transport,
      trackerClient: { announce: () => Promise.reject(new DiskswarmError('PEER_UNREACHABLE', 'no tracker')) },
      keys: this.#keys,
      opener: localOpener({ storage, clock }, (attachment) => this.opened.push(attachment)),
      log: { info: () => {}, warn, error: warn },
      bootId: 'boot',
      socketFor: async (name) => `/run/${name}.sock`,
      listen: `${this.#name}:7000`,
      addressesOf: (listen) => [listen],
      trackers: [],
      segmentOf: null,
      peers: this.#name === 'home' ? [] : ['home:7000' as Address],
      uploadBytesPerSecond: null,
      downloadBytesPerSecond: null,
    });
  }

  /** Imports a disk whose piece `n` is all `fillOf(n)`; 0 makes a zero piece. */
  async import(fillOf: (piece: number) => number): Promise<ManagedDisk> {
    const { genesis, grant } = this.records;
    const sizeBytes = PIECES * PIECE_BYTES;
    const read = async (into: Uint8Array, offsetBytes: number): Promise<void> => {
      for (let at = 0; at < into.length; at += PIECE_BYTES)
        into.fill(fillOf((offsetBytes + at) / PIECE_BYTES), at, at + PIECE_BYTES);
    };
    const source = { extents: [{ offsetBytes: 0, lengthBytes: sizeBytes }], read };
    const roster = this.records.rosterOf(1, { [this.records.office.hostId]: 'writer' });
    const records = { genesis: genesis.bytes, roster: roster.bytes, epochs: [grant.bytes] };
    const { disk } = await this.agent.importDisk(
      { name: NAME, sizeBytes, source, records },
      { ...never, onProgress: () => {} },
    );
    return disk;
  }

  /** Kills the process and starts the next. */
  async restart(how: 'crash' | 'power cut' = 'crash'): Promise<void> {
    if (how === 'crash') this.machine.crash();
    else this.machine.powerCut();
    this.agent = this.#newAgent();
    await this.agent.start();
  }

  /** Becomes a member by an invitation of the owner. */
  async join(): Promise<ManagedDisk> {
    const { genesis, grant, office, owner } = this.records;
    const roster = this.records.rosterOf(1, { [office.hostId]: 'writer' });
    const content = { genesis, roster, epochs: [grant], trackers: [], addresses: [], name: NAME };
    return this.agent.join(createInvitation({ ...content, host: office.hostId }, owner), null);
  }

  attach(readOnly = false): Promise<unknown> {
    return this.disk.attach({ readOnly, socket: null });
  }

  /** What a guest of the last export reads at a piece's start. */
  async read(piece: number, lengthBytes = 16): Promise<Uint8Array> {
    const into = new Uint8Array(lengthBytes);
    const { view } = this.attachment;
    if (!view.readSync(piece * PIECE_BYTES, into)) await view.read(piece * PIECE_BYTES, into, never);
    return into;
  }

  /** A guest writes a block at a piece's start, acknowledged. */
  async write(piece: number, fill: number): Promise<void> {
    const { view } = this.attachment;
    await view.write(piece * PIECE_BYTES, new Uint8Array(4096).fill(fill));
    view.commit();
  }

  /** Changes one byte of a pack where a chunk lies. */
  async damage(location: { path: string; positionBytes: number }): Promise<void> {
    const file: StorageFile = await this.machine.storage.open(location.path, 'write');
    file.writeSync(new Uint8Array([0xee]), location.positionBytes + 5);
    await file.close();
  }
}

/** Runs `scenario` on a started host of its own. */
export async function withHost(seed: number, scenario: (host: OneHost) => Promise<void>): Promise<void> {
  const simulation = createSimulation(seed);
  await simulation.run(async () => {
    const host = new OneHost(simulation);
    await host.agent.start();
    await scenario(host);
    await host.agent.stop();
  });
}
