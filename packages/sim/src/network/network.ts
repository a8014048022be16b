/**
 * The simulated network: machines, the links between them, and what goes wrong with both.
 *
 * Inside a connection nothing is reordered; between connections it is, because each segment draws its own delay.
 * During a partition nothing arrives and nothing is lost: it waits, as TCP would resend it.
 */
import type { Address } from '@diskswarm/core';
import type { SimProcess } from '../process.ts';
import { SimConnection } from './connection.ts';
import { Pipe } from './pipe.ts';
import { NetworkPort, type RateProfile } from './port.ts';

export type { RateProfile } from './port.ts';

/** One way between two machines; the same in both directions. */
export interface LinkProfile {
  /** @default 0.2 */
  readonly delayMs?: number;
  /** Added at random, up to this. @default 0.1 */
  readonly jitterMs?: number;
}

/** What kernel buffers hold per direction before a sender has to wait. */
const WINDOW_BYTES = 1024 * 1024;
/** How long a silent peer is believed in after its machine lost power. */
const KEEP_ALIVE_MS = 60_000;

/** A process at a machine and port. */
export interface Endpoint {
  readonly port: NetworkPort;
  readonly process: SimProcess;
  readonly address: Address;
}

/** Both ends of a connection, for whoever cuts it. */
interface Joint {
  readonly ends: readonly [SimConnection, SimConnection];
  readonly hosts: readonly [string, string];
}

export class SimNetwork {
  /** The network's own randomness and place in the queue; it never dies. */
  readonly process: SimProcess;
  readonly #ports = new Map<string, NetworkPort>();
  readonly #links = new Map<string, LinkProfile>();
  readonly #partitions = new Map<string, (() => void)[]>();
  #joints = new Set<Joint>();

  constructor(process: SimProcess) {
    this.process = process;
  }

  /** Gives a machine its address, 10.0.x.y in the order they come. */
  addHost(name: string): void {
    const number = this.#ports.size + 1;
    this.#ports.set(name, new NetworkPort(name, `10.0.${number >> 8}.${number & 255}`, this.process));
  }

  /** The machine's IP address. */
  addressOf(host: string): string {
    return this.port(host).ip;
  }

  /** Sets the rates of a machine's up- and downlink. */
  setRates(host: string, rates: RateProfile): void {
    this.port(host).rates = rates;
  }

  /** Sets delay and jitter between two machines. */
  setLink(a: string, b: string, profile: LinkProfile): void {
    this.#links.set(pairOf(a, b), profile);
  }

  /** Nothing passes between the two until `heal`. */
  partition(a: string, b: string): void {
    if (!this.#partitions.has(pairOf(a, b))) this.#partitions.set(pairOf(a, b), []);
  }

  /** Ends a partition; what waited goes on its way. */
  heal(a: string, b: string): void {
    const waiting = this.#partitions.get(pairOf(a, b)) ?? [];
    this.#partitions.delete(pairOf(a, b));
    for (const go of waiting) go();
  }

  /** True between `partition` and `heal`. */
  isPartitioned(a: string, b: string): boolean {
    return this.#partitions.has(pairOf(a, b));
  }

  /** Resets every connection between the two; both ends are told. */
  breakConnections(a: string, b: string): void {
    for (const joint of this.#open())
      if (pairOf(...joint.hosts) === pairOf(a, b)) for (const end of joint.ends) end.reset();
  }

  /** Resets one open connection that the seed picks; false when there is none. */
  breakAnyConnection(): boolean {
    const open = this.#open();
    if (open.length === 0) return false;
    for (const end of this.process.random.pick(open).ends) end.reset();
    return true;
  }

  /** Connections that neither end has given up. */
  get connectionCount(): number {
    return this.#open().length;
  }

  port(host: string): NetworkPort {
    const port = this.#ports.get(host);
    if (port === undefined) throw new RangeError(`no simulated machine "${host}"`);
    return port;
  }

  /** The machine of a name or IP address. */
  find(hostOrIp: string): NetworkPort | undefined {
    return this.#ports.get(hostOrIp) ?? [...this.#ports.values()].find(({ ip }) => ip === hostOrIp);
  }

  /** Calls `go` with the link's delay: now, or when a partition ends. */
  travel(from: NetworkPort, to: NetworkPort, go: (delayUs: number) => void): void {
    const waiting = this.#partitions.get(pairOf(from.host, to.host));
    const start = (): void => go(this.#delayUs(from, to));
    if (waiting === undefined) start();
    else waiting.push(() => this.travel(from, to, go));
  }

  /** Resolves when something small has come from one machine to the other. */
  hop(from: NetworkPort, to: NetworkPort, label: string): Promise<void> {
    return new Promise((resolve) => {
      this.travel(from, to, (delayUs) => this.process.later(delayUs, `${from.host} to ${to.host} ${label}`, resolve));
    });
  }

  /** The two ends of a new connection, the dialler's first. */
  connect(dialler: Endpoint, listener: Endpoint): readonly [SimConnection, SimConnection] {
    const binding = this.process.random.bytes(32);
    const near = new SimConnection({
      initiator: true,
      remoteAddress: listener.address,
      binding,
      process: dialler.process,
    });
    const far = new SimConnection({
      initiator: false,
      remoteAddress: dialler.address,
      binding: binding.slice(),
      process: listener.process,
    });
    const common = { network: this, windowBytes: WINDOW_BYTES };
    const out = new Pipe({
      ...common,
      from: dialler.port,
      to: listener.port,
      reader: far,
      onShrink: () => near.shrunk(),
    });
    const back = new Pipe({
      ...common,
      from: listener.port,
      to: dialler.port,
      reader: near,
      onShrink: () => far.shrunk(),
    });
    near.attach(out, back);
    far.attach(back, out);
    this.#open(); // Forgets the ones that have ended.
    this.#joints.add({ ends: [near, far], hosts: [dialler.port.host, listener.port.host] });
    return [near, far];
  }

  /** Ends what belongs to a process: listeners at once, connections as its kernel would, or without a word. */
  processDied(process: SimProcess, { silently }: { silently: boolean }): void {
    for (const port of this.#ports.values()) {
      for (const [number, listener] of port.listeners) if (listener.process === process) port.listeners.delete(number);
    }
    for (const { ends } of this.#open()) {
      const mine = ends.find((end) => end.process === process);
      if (mine === undefined) continue;
      mine.processDied(silently ? 'none' : this.process.random.pick(['orderly', 'reset']));
      const theirs = ends[0] === mine ? ends[1] : ends[0];
      if (silently)
        this.process.later(KEEP_ALIVE_MS * 1000, `keep-alive of ${theirs.remoteAddress}`, () => theirs.reset());
    }
  }

  #open(): Joint[] {
    this.#joints = new Set([...this.#joints].filter(({ ends }) => ends.some((end) => end.open)));
    return [...this.#joints];
  }

  #delayUs(from: NetworkPort, to: NetworkPort): number {
    if (from === to) return 20;
    const { delayMs = 0.2, jitterMs = 0.1 } = this.#links.get(pairOf(from.host, to.host)) ?? {};
    return delayMs * 1000 + (jitterMs === 0 ? 0 : this.process.random.below(Math.ceil(jitterMs * 1000)));
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
