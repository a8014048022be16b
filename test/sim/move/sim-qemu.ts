/**
 * A model of QEMU 7.2 as far as a migration goes: its monitor, its run states, its migration, and a guest on drives.
 *
 * What it does of its own accord is modelled with care, because that is what surprises: it runs the guest again when a migration fails or is cancelled after
 * the stop, it refuses `cont` before that is wound up, and it ends when what arrives is cut off. It lives and dies apart from the agent.
 */
import type { Clock } from '@diskswarm/core';
import type { ProcessIdentity, QemuCommand } from '@diskswarm/host-agent';
import type { QmpConnection, QmpConnectionHandlers } from '@diskswarm/qmp';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import { Drive } from './drive.ts';
import { IncomingMemory, type OutletSocket } from './memory-socket.ts';
import type { MoveHost } from './move-host.ts';
import type { MoveWorld } from './move-world.ts';
import { NumberedGuest } from './numbered-guest.ts';

type RunState = 'prelaunch' | 'running' | 'paused' | 'inmigrate' | 'finish-migrate' | 'postmigrate';

/** Of memory without content, in frames. */
const FRAMES = 6;
const FRAME_BYTES = 16 * 1024;
/** Between QEMU and its monitor's client. */
const MONITOR_MS = 0.05;
/** A busy QEMU takes up to so long to greet. */
const GREETING_MS = 200;

interface Monitor {
  readonly handlers: QmpConnectionHandlers;
  readonly clock: Clock;
  closed: boolean;
}

export class SimQemu {
  readonly identity: ProcessIdentity;
  readonly host: MoveHost;
  readonly machine: string;
  readonly qmpSocket: string;
  alive = true;
  /** Its last words. */
  words = '';
  state: RunState;
  guest: NumberedGuest | null = null;
  readonly #world: MoveWorld;
  readonly #drives: readonly Drive[];
  #monitor: Monitor | null = null;
  #status = 'none';
  /** Counts migrations and their ends, so that what was cancelled goes no further. */
  #run = 0;
  #wasRunning = false;
  #continued = Promise.withResolvers<void>();
  #outlet: OutletSocket | null = null;
  #listening: string | null = null;

  constructor(host: MoveHost, command: QemuCommand, pid: number) {
    this.host = host;
    this.#world = host.world;
    this.machine = command.definition.name;
    this.qmpSocket = command.qmpSocket;
    this.identity = { pid, startTicks: pid, bootId: null, pidNamespace: null };
    this.#drives = command.drives.map(({ socket }) => new Drive(host, socket));
    this.state = command.incoming ? 'inmigrate' : 'running';
    if (!command.incoming) {
      this.guest = new NumberedGuest(this.#world, this.#drives, { boot: this.#world.nextBoot(), done: 0 });
      this.#runs();
    }
  }

  get name(): string {
    return `QEMU ${this.identity.pid} at ${this.host.name}`;
  }

  /** The socket on which its memory is awaited; null while it awaits none. */
  get listening(): string | null {
    return this.#listening;
  }

  /** It ends at once; whatever was in flight stays undecided. */
  end(words: string): void {
    if (!this.alive) return;
    this.#world.note(`${this.name} ends: ${words}`);
    this.alive = false;
    this.words = words;
    this.#run++;
    this.#status = 'none';
    void this.guest?.stop();
    for (const drive of this.#drives) drive.close();
    this.#outlet?.close();
    this.#world.qemuEnded(this);
    this.#closeMonitor();
  }

  /** The guest powers itself off. */
  powerOff(): void {
    if (this.state !== 'running') return;
    this.#event('SHUTDOWN', { reason: 'guest-shutdown' });
    this.end('');
  }

  /** Its agent connects; one at a time. */
  connect(handlers: QmpConnectionHandlers, clock: Clock): QmpConnection {
    this.#closeMonitor();
    const monitor: Monitor = { handlers, clock, closed: false };
    this.#monitor = monitor;
    const greeting = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 } }, capabilities: [] } };
    this.#world.later(this.#world.random.below(GREETING_MS), () => {
      if (this.alive && this.#monitor === monitor) this.#say(greeting);
    });
    return {
      write: (bytes) => {
        const text = Buffer.from(bytes).toString('utf8');
        this.#world.later(MONITOR_MS, () => {
          if (monitor.closed || !this.alive) return;
          for (const line of text.trim().split('\n')) this.#command(monitor, JSON.parse(line));
        });
      },
      close: () => {
        monitor.closed = true;
        if (this.#monitor === monitor) this.#monitor = null;
      },
    };
  }

  /** The agent is dead: nobody is at the monitor, and nothing listens at the outlet. */
  agentDied(): void {
    if (this.#monitor !== null) this.#monitor.closed = true;
    this.#monitor = null;
  }

  /** A connection to the socket on which memory is awaited. */
  take(stream: PeerStream): StreamHandlers {
    const incoming = new IncomingMemory(this.host, stream);
    this.#changes('active');
    const arrive = async (): Promise<void> => {
      const memory = await incoming.whole;
      if (!this.alive) return;
      if (memory === null) {
        this.#changes('failed');
        await this.#world.pause(0.2);
        this.end('error while loading state');
        return;
      }
      await this.#world.pause(0.5);
      if (!this.alive) return;
      this.guest = new NumberedGuest(this.#world, this.#drives, memory);
      this.state = 'paused';
      this.#listening = null;
      this.#changes('completed');
    };
    void arrive();
    return incoming.handlers;
  }

  #command(
    monitor: Monitor,
    { execute, arguments: args, id }: { execute: string; arguments: Record<string, string>; id: number },
  ): void {
    this.#world.step(`${this.host.name} qemu hears ${execute}`);
    const answer = this.#carryOut(execute, args);
    if (!this.alive || monitor.closed) return;
    if (typeof answer === 'string') this.#say({ id, error: { class: 'GenericError', desc: answer } });
    else this.#say({ id, return: answer });
  }

  /** A text is an error. */
  #carryOut(command: string, args: Record<string, string>): object | string {
    switch (command) {
      case 'qmp_capabilities':
      case 'migrate-set-capabilities':
      case 'migrate-set-parameters':
        return {};
      case 'query-status':
        return { status: this.state, running: this.state === 'running' };
      case 'query-migrate':
        return { status: this.#status, 'total-time': 1 };
      case 'cont':
        return this.#cont();
      case 'stop':
        void this.#stops('paused');
        return {};
      case 'system_powerdown':
        this.#world.later(20, () => this.alive && this.powerOff());
        return {};
      case 'quit':
        this.#world.later(2, () => this.end(''));
        return {};
      case 'migrate':
        if (this.#isMigrating) return 'There is a migration process in progress';
        if (this.state === 'inmigrate' || this.state === 'postmigrate')
          return 'Guest is waiting for an incoming migration';
        void this.#migrate(args.uri!.replace('unix:', ''));
        return {};
      case 'migrate-incoming':
        if (this.state !== 'inmigrate' || this.#listening !== null)
          return 'The incoming migration has already been started';
        this.#listening = args.uri!.replace('unix:', '');
        this.#changes('setup');
        return {};
      case 'migrate-continue':
        if (this.#status !== args.state) return 'Migration is not in the expected state';
        this.#continued.resolve();
        return {};
      case 'migrate_cancel':
        if (this.#isMigrating) void this.#cancel();
        return {};
      default:
        return `The command ${command} has not been found`;
    }
  }

  #cont(): object | string {
    if (this.state === 'running') return {};
    if (this.state === 'finish-migrate') return 'Migration is not finalized yet';
    if (this.state === 'inmigrate') return 'a machine that waits for its memory was told to run';
    this.#runs();
    return {};
  }

  get #isMigrating(): boolean {
    return ['setup', 'active', 'pre-switchover', 'device', 'cancelling'].includes(this.#status);
  }

  async #migrate(path: string): Promise<void> {
    const run = ++this.#run;
    const goesOn = (): void => {
      if (this.#run !== run) throw new Error('cancelled');
    };
    this.#wasRunning = this.state === 'running';
    this.#continued = Promise.withResolvers();
    this.#changes('setup');
    try {
      await this.#world.pause(1);
      goesOn();
      const outlet = this.host.connectOutlet(path);
      this.#outlet = outlet;
      this.#changes('active');
      for (let frame = 0; frame < FRAMES; frame++) {
        await outlet.write(new Uint8Array(FRAME_BYTES));
        goesOn();
      }
      await this.#stops('finish-migrate');
      goesOn();
      this.#changes('pre-switchover');
      await this.#continued.promise;
      goesOn();
      this.#changes('device');
      await outlet.write(Buffer.from(`${JSON.stringify(this.guest!.memory)}\n`));
      await this.#world.pause(1);
      goesOn();
      outlet.end();
      this.#outlet = null;
      this.state = 'postmigrate';
      this.#changes('completed');
    } catch (error) {
      if (!this.alive || this.#run !== run) return;
      this.#run++;
      this.#outlet?.close();
      this.#outlet = null;
      this.#changes('failed');
      this.#world.note(`${this.name}: ${String(error)}`);
      this.#runsAgain();
    }
  }

  async #cancel(): Promise<void> {
    if (this.#status === 'cancelling') return;
    const run = ++this.#run;
    this.#changes('cancelling');
    this.#continued.resolve();
    this.#outlet?.close();
    this.#outlet = null;
    await this.#world.pause(1 + this.#world.random.below(20));
    if (!this.alive || this.#run !== run) return;
    this.#changes('cancelled');
    this.#runsAgain();
  }

  /** What QEMU does with a guest that ran when its migration began. */
  #runsAgain(): void {
    if (this.#wasRunning) this.#runs();
    else if (this.state === 'finish-migrate') this.state = 'paused';
  }

  async #stops(state: RunState): Promise<void> {
    if (this.state !== 'running') return;
    this.state = state;
    this.#world.paused(this);
    this.#event('STOP', {});
    await this.guest!.stop();
    if (this.alive) await this.guest!.flush();
  }

  #runs(): void {
    this.state = 'running';
    this.#world.resumed(this);
    this.#event('RESUME', {});
    this.guest!.run();
  }

  #changes(status: string): void {
    this.#status = status;
    this.#world.note(`${this.name}: migration ${status}`);
    this.#event('MIGRATION', { status });
  }

  #event(event: string, data: object): void {
    if (!this.alive) return;
    this.#world.step(`${this.host.name} qemu says ${[event, ...Object.values(data)].join(' ')}`);
    this.#say({ event, data, timestamp: { seconds: 0, microseconds: 0 } });
  }

  #say(message: object): void {
    const monitor = this.#monitor;
    if (monitor === null) return;
    const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
    monitor.clock.setTimer(MONITOR_MS, () => {
      if (!monitor.closed) monitor.handlers.onData(bytes);
    });
  }

  #closeMonitor(): void {
    const monitor = this.#monitor;
    this.#monitor = null;
    if (monitor === null || monitor.closed) return;
    monitor.clock.setTimer(MONITOR_MS, () => {
      if (monitor.closed) return;
      monitor.closed = true;
      monitor.handlers.onClose();
    });
  }
}
