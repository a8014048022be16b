/**
 * A simulated machine: a disk that outlives its processes, a place in the network, and one process at a time.
 *
 * `clock`, `random`, `storage` and `transport` belong to the process that runs now: take them anew after `crash` or
 * `powerCut`, which kill that process and start the next.
 */
import type { Clock, Storage, Transport } from '@diskswarm/core';
import type { SimNetwork } from './network/network.ts';
import { SimTransport } from './network/transport.ts';
import type { SimProcess } from './process.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimDisk } from './storage/disk.ts';
import { SimStorage } from './storage/sim-storage.ts';

interface Handles {
  readonly process: SimProcess;
  readonly storage: Storage;
  readonly transport: Transport;
}

export class SimHost {
  readonly name: string;
  /** The machine's disk: faults, capacity, latency and stops are set here. */
  readonly disk: SimDisk;
  readonly #network: SimNetwork;
  readonly #note: (text: string) => void;
  readonly #nextProcess: (incarnation: number) => SimProcess;
  #incarnation = 0;
  #now: Handles;

  constructor(options: {
    name: string;
    disk: SimDisk;
    network: SimNetwork;
    nextProcess: (incarnation: number) => SimProcess;
    note: (text: string) => void;
  }) {
    this.name = options.name;
    this.disk = options.disk;
    this.#network = options.network;
    this.#note = options.note;
    this.#nextProcess = options.nextProcess;
    this.#now = this.#start();
    this.disk.onStop = (how) => (how === 'crash' ? this.crash() : this.powerCut());
  }

  get clock(): Clock {
    return this.#now.process.clock;
  }

  get random(): SeededRandom {
    return this.#now.process.random;
  }

  get storage(): Storage {
    return this.#now.storage;
  }

  get transport(): Transport {
    return this.#now.transport;
  }

  /** How many processes this machine has had before the present one. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** The process dies; the kernel keeps what it was handed, and tells the peers. */
  crash(): void {
    this.#note(`${this.name} crashes`);
    this.#now.process.kill();
    this.disk.processDied();
    this.#network.processDied(this.#now.process, { silently: false });
    this.#restart();
  }

  /** The machine loses power: what was not synced may be lost or torn, and the peers hear nothing. */
  powerCut(): void {
    this.#note(`${this.name} loses power`);
    this.#now.process.kill();
    this.disk.powerCut();
    this.#network.processDied(this.#now.process, { silently: true });
    this.#restart();
  }

  #restart(): void {
    this.#incarnation++;
    this.#now = this.#start();
  }

  #start(): Handles {
    const process = this.#nextProcess(this.#incarnation);
    return {
      process,
      storage: new SimStorage(this.disk, process),
      transport: new SimTransport(this.#network, this.name, process),
    };
  }
}
