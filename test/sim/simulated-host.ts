/**
 * A machine with the shipped agent on it: started, killed, started again, as a supervisor would.
 *
 * What a scenario does with the agent goes through `use`, which ends with HostDied when the process dies meanwhile. Watches what no host may
 * ever do: go back to an older roster, epoch or generation.
 */
import { type Clock, DiskswarmError, type HostId, type Storage } from '@diskswarm/core';
import { Agent, controlHandlers, type LocalAttachment, localOpener, type ManagedDisk } from '@diskswarm/host-agent';
import type { HostKeys } from '@diskswarm/identity';
import type { SimHost } from '@diskswarm/sim';
import { NAME, type World } from './world.ts';

const PORT = 7000;
/** A supervisor waits this long before it starts a process again, and up to four times as long. */
const RESTART_MS = 200;

/** The process that did the work is no more. */
export class HostDied extends Error {
  constructor(name: string) {
    super(`${name} died meanwhile`);
    this.name = 'HostDied';
  }
}

type Handlers = ReturnType<typeof controlHandlers>;
type Method =
  | 'disk.attach'
  | 'disk.detach'
  | 'disk.seal'
  | 'disk.handover'
  | 'disk.take'
  | 'disk.pull'
  | 'disk.info'
  | 'store.verify'
  | 'peer.ls';

export class SimulatedHost {
  readonly name: string;
  readonly keys: HostKeys;
  readonly machine: SimHost;
  /** The export that is open, while one is. */
  attachment: LocalAttachment | null = null;
  /** Called whenever an agent has started. */
  onUp: () => void = () => {};
  /** Errors of a start that are faults of the scenario's own making: the process ends and is started again. */
  startMayFail = false;
  readonly #world: World;
  #agent: Agent | null = null;
  #life = new AbortController();
  #death = Promise.withResolvers<void>();
  #powerCuts = 0;
  #waiting = new Set<() => void>();
  #seen = { roster: 0, owned: 0, epoch: 0, sequence: 0 };

  constructor(world: World, name: string, keys: HostKeys) {
    this.#world = world;
    this.name = name;
    this.keys = keys;
    this.machine = world.simulation.host(name);
    this.machine.disk.onStop = (how) => this.kill(how);
  }

  get hostId(): HostId {
    return this.keys.hostId;
  }

  get address(): string {
    return `${this.name}:${PORT}`;
  }

  get up(): boolean {
    return this.#agent !== null;
  }

  /** The export would take a write now. */
  get mayWrite(): boolean {
    return this.attachment?.view.attachment.kind === 'writable';
  }

  /** Resolves when that run of the machine is over. */
  deathOf(incarnation: number): Promise<void> {
    return this.machine.incarnation === incarnation ? this.#death.promise : Promise.resolve();
  }

  /** The process dies, in the middle of whatever it does; a supervisor starts the next. */
  kill(how: 'crash' | 'power cut'): void {
    if (how === 'crash') this.machine.crash();
    else {
      this.machine.powerCut();
      this.#powerCuts++;
    }
    this.#world.died(this, how);
    this.#agent = null;
    this.attachment = null;
    const life = this.#life;
    this.#life = new AbortController();
    life.abort();
    this.#death.resolve();
    this.#death = Promise.withResolvers();
    const { simulation } = this.#world;
    const delayMs = RESTART_MS * simulation.random.between(1, 4);
    const { incarnation } = this.machine;
    simulation.clock.setTimer(delayMs, () => {
      if (this.machine.incarnation !== incarnation) return; // It died again before it began.
      this.boot().catch((error: unknown) => {
        if (!(error instanceof HostDied)) this.#world.fail(error);
      });
    });
  }

  /** Starts the agent; resolves when it is up. */
  async boot(): Promise<void> {
    const { machine, name, keys } = this;
    const { storage, clock, random, transport } = machine;
    const { incarnation } = machine;
    const note = (fields: object, message: string): void => {
      if (machine.incarnation === incarnation)
        this.#world.simulation.note(`${name} says: ${message} ${JSON.stringify(fields)}`);
    };
    const agent = new Agent({
      storage,
      clock,
      random,
      transport,
      trackerClient: {
        announce: () => Promise.reject(new DiskswarmError('PEER_UNREACHABLE', 'there is no tracker in this world')),
      },
      keys,
      opener: this.#opener({ storage, clock }),
      log: { info: note, warn: note, error: note },
      bootId: `boot ${this.#powerCuts}`,
      socketFor: async (disk) => `/run/${disk}.sock`,
      listen: this.address,
      addressesOf: (listen) => [listen],
      trackers: [],
      segmentOf: null,
      peers: this.#world.hosts.filter((host) => host !== this).map(({ address }) => address),
      uploadBytesPerSecond: null,
      downloadBytesPerSecond: null,
    });
    const life = this.#life.signal;
    try {
      await this.#whileAlive(life, agent.start());
    } catch (error) {
      if (error instanceof HostDied || !this.startMayFail) throw error;
      this.#world.simulation.note(`${name} cannot start: ${String(error)}`);
      this.kill('crash');
      return;
    }
    this.#agent = agent;
    this.onUp();
    for (const wake of [...this.#waiting]) wake();
    this.#watch();
  }

  /** Resolves with the agent of the process that runs, or of the next one. */
  async whenUp(): Promise<Agent> {
    while (this.#agent === null) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
    return this.#agent;
  }

  /** Does something with the agent once it is up; HostDied when its process dies first. */
  async use<Result>(work: (agent: Agent, signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const agent = await this.whenUp();
    return this.#whileAlive(this.#life.signal, work(agent, new AbortController().signal));
  }

  /** Asks the agent what a command of the user would. */
  ask<M extends Method>(method: M, params: Parameters<Handlers[M]>[0]): Promise<Awaited<ReturnType<Handlers[M]>>> {
    return this.use((agent, signal) => {
      const handler = controlHandlers(agent, '')[method] as (
        params: unknown,
        context: unknown,
      ) => ReturnType<Handlers[M]>;
      return handler(params, { signal, emit: () => {} }) as Promise<Awaited<ReturnType<Handlers[M]>>>;
    });
  }

  /** The disk as the running agent has it; null while the host is down or does not know it yet. */
  get managed(): ManagedDisk | null {
    const disk = this.#agent?.disks.find(({ name }) => name === NAME) ?? null;
    this.#look(disk);
    return disk;
  }

  /** Opens exports in place, and hears when one is given up. */
  #opener(over: { storage: Storage; clock: Clock }): ReturnType<typeof localOpener> {
    const { incarnation } = this.machine;
    const inner = localOpener(over, (attachment) => this.#opened(attachment));
    return {
      open: (spec, owner) =>
        inner.open(spec, {
          peek: (leaf) => owner.peek(leaf),
          resolve: (piece, priority, options) => owner.resolve(piece, priority, options),
          damaged: (piece, location) => owner.damaged(piece, location),
          touched: (piece) => owner.touched(piece),
          failed: (error) => {
            if (this.machine.incarnation !== incarnation) return;
            this.#world.simulation.note(`${this.name}'s export failed: ${error.message}`);
            this.#world.exportFailed(this);
            owner.failed(error);
          },
        }),
    };
  }

  #opened(attachment: LocalAttachment): void {
    this.attachment = attachment;
    const { epoch } = attachment.spec;
    if (attachment.view.attachment.kind === 'writable') this.#world.opened(this, epoch);
    const close = attachment.close.bind(attachment);
    attachment.close = async () => {
      if (this.attachment === attachment) this.attachment = null;
      await close();
    };
  }

  /** Looks every now and then, until the process dies. */
  #watch(): void {
    const life = this.#life.signal;
    const look = (): void => {
      if (life.aborted) return;
      this.#look(this.#agent?.disks[0] ?? null);
      this.#world.simulation.clock.setTimer(250, look);
    };
    look();
  }

  #look(disk: ManagedDisk | null): void {
    if (disk === null) return;
    const { roster, head, chain } = disk.records;
    const { epoch } = chain.current;
    const now = { roster: roster.sequence, owned: epoch, epoch: head?.epoch ?? 0, sequence: head?.sequence ?? 0 };
    const before = this.#seen;
    this.#world.check(() => {
      const older = now.epoch < before.epoch || (now.epoch === before.epoch && now.sequence < before.sequence);
      // A refusal brings the epoch before it back, once.
      const undone = chain.entries.some((entry) => entry.refused && entry.epoch >= before.owned);
      if (now.roster < before.roster || older || (now.owned < before.owned && !undone)) {
        throw new Error(`${this.name} went back from ${JSON.stringify(before)} to ${JSON.stringify(now)}`);
      }
    });
    this.#seen = now;
  }

  #whileAlive<Result>(life: AbortSignal, work: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const died = (): void => reject(new HostDied(this.name));
      if (life.aborted) died();
      life.addEventListener('abort', died, { once: true });
      work.then(resolve, reject).finally(() => life.removeEventListener('abort', died));
    });
  }
}
