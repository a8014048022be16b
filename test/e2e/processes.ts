/**
 * Hosts as users run them: agents, trackers and commands as processes of their own, through the launcher, on folders
 * that go away with the test.
 *
 * Everything is asked for through the command line and its --json contract; only polling goes to the control socket, because
 * a process per glance costs too much. What a test starts, it ends: by process id, at its teardown, whatever happened.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const LAUNCHER = fileURLToPath(new URL('../../host-agent/bin/diskswarm.js', import.meta.url));
const DISKSWARM = [process.execPath, LAUNCHER];
const READY_MS = 60_000;
const COMMAND_MS = 60_000;
const STDERR_CHARS = 20_000;

const { PATH = '', NODE_COMPILE_CACHE } = process.env;
/** What every process is given of this one's environment; many of them load the same sources. */
const ENVIRONMENT = { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** What a command came to. */
export interface Outcome {
  readonly exitCode: number | null;
  /** The last document on stdout. */
  readonly document: Json;
  /** All of them, one a line. */
  readonly documents: readonly Json[];
  /** `code` of an error document, null otherwise. */
  readonly errorCode: string | null;
  readonly errorMessage: string;
  readonly errorData: Json;
}

/** A folder that goes away with the test; short, because sockets lie in it. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'dse-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Looks again until `look` returns something other than null, undefined or false; fails the test after the deadline. */
export async function eventually<Found>(
  what: string,
  look: () => Promise<Found | null | undefined | false> | Found | null | undefined | false,
  deadlineMs = 40_000,
): Promise<Found> {
  const end = Date.now() + deadlineMs;
  let last = '';
  for (;;) {
    try {
      const found = await look();
      if (found !== null && found !== undefined && found !== false) return found;
    } catch (error) {
      last = ` (${String(error)})`;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A process that stays: an agent or a tracker. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** The first line on stdout. */
  ready: Json = {};
  stderr = '';

  private constructor(t: ExecutionContext, command: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(command[0]!, command.slice(1), { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: null, signal: null }));
      this.#child.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_CHARS);
    });
    t.teardown(async () => {
      this.#child.kill('SIGKILL');
      await this.exited;
      if (!t.passed && this.stderr !== '') t.log(`${command.slice(-3).join(' ')}: ${this.stderr.slice(-3000)}`);
    });
  }

  /** Starts it and waits for its ready line; rejects when it ends before. */
  static async start(
    t: ExecutionContext,
    command: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<Daemon> {
    const daemon = new Daemon(t, command, env);
    const timer = setTimeout(() => daemon.kill('SIGKILL'), READY_MS);
    const first = new Promise<Json>((resolve) => {
      createInterface({ input: daemon.#child.stdout! }).once('line', (line) => resolve(JSON.parse(line) as Json));
    });
    const ended = daemon.exited.then(({ code, signal }) => {
      throw new Error(`${command.slice(-4).join(' ')} ended with ${code ?? signal}: ${daemon.stderr}`);
    });
    daemon.ready = await Promise.race([first, ended]).finally(() => clearTimeout(timer));
    ended.catch(() => {});
    if (daemon.ready.event !== 'ready') throw new Error(JSON.stringify(daemon.ready));
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** HOST:PORT. */
  get listen(): string {
    return String(this.ready.listen);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, without a chance to tidy up. */
  async crash(): Promise<void> {
    this.kill('SIGKILL');
    await this.exited;
  }
}

/** A command that stays. */
export interface Follower {
  readonly child: ChildProcess;
  /** What it printed so far; grows. */
  readonly documents: readonly Json[];
  readonly exited: Promise<{ readonly code: number | null }>;
}

/** How an agent is started. */
export interface AgentOptions {
  /** Commands in front of it, such as strace. */
  readonly prefix?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** One host: a state folder, an owner file that all hosts of the test share, and whatever runs there. */
export class Host {
  readonly name: string;
  readonly state: string;
  readonly #t: ExecutionContext;
  readonly #env: Readonly<Record<string, string>>;
  /** Id of this host; known once `start` was called. */
  id = '';
  daemon: Daemon | null = null;

  constructor(t: ExecutionContext, folder: string, name: string, state = path.join(folder, name)) {
    this.#t = t;
    this.name = name;
    this.state = state;
    this.#env = {
      ...ENVIRONMENT,
      HOME: folder,
      TMPDIR: os.tmpdir(),
      DISKSWARM_STATE: this.state,
      DISKSWARM_OWNER: path.join(folder, 'owner.key'),
      DISKSWARM_PASSPHRASE: 'word',
    };
  }

  /** Starts the agent on a free loopback port. */
  async start({ prefix = [], args = [], env = {} }: AgentOptions = {}): Promise<Daemon> {
    const command = [...prefix, ...DISKSWARM, 'agent', '--listen', '127.0.0.1:0', '--json', ...args];
    this.daemon = await Daemon.start(this.#t, command, { ...this.#env, ...env });
    if (this.id === '') this.id = String(((await this.call('host.id', {})) as Json).hostId);
    return this.daemon;
  }

  /** Ends the agent with SIGTERM. */
  async stop(): Promise<void> {
    this.daemon?.kill('SIGTERM');
    await this.daemon?.exited;
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], stdin = ''): Promise<Outcome> {
    const command = [...DISKSWARM, '--json', ...args]; // In front: what is behind -- is not ours.
    const child = spawn(command[0]!, command.slice(1), { env: { ...this.#env }, stdio: ['pipe', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
    this.#t.teardown(() => void child.kill('SIGKILL'));
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_CHARS);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    const documents = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Json]));
    const document = documents.at(-1);
    if (document === undefined) throw new Error(`${args.join(' ')}: nothing on stdout, exit ${exitCode}: ${stderr}`);
    const error = document.error as { code: string; message: string; data: Json } | undefined;
    return {
      exitCode,
      document,
      documents,
      errorCode: error?.code ?? null,
      errorMessage: error?.message ?? '',
      errorData: error?.data ?? {},
    };
  }

  /** Starts a command that stays; it is killed with the test. */
  follow(args: readonly string[]): Follower {
    const command = [...DISKSWARM, '--json', ...args];
    const child = spawn(command[0]!, command.slice(1), { env: { ...this.#env }, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#t.teardown(() => void child.kill('SIGKILL'));
    const documents: Json[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => documents.push(JSON.parse(line) as Json));
    const exited = new Promise<{ code: number | null }>((resolve) => child.once('close', (code) => resolve({ code })));
    return { child, documents, exited };
  }

  /** Runs a command that must work. */
  async ok(...args: string[]): Promise<Json> {
    const { exitCode, document } = await this.run(args);
    if (exitCode !== 0) throw new Error(`${this.name}: ${args.join(' ').slice(0, 200)}: ${JSON.stringify(document)}`);
    return document;
  }

  /** Asks the agent over its control socket. */
  call(method: string, params: Json): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(path.join(this.state, 'control.sock'));
      let text = '';
      socket.setEncoding('utf8');
      socket.on('connect', () => socket.write(`${JSON.stringify({ id: 1, method, params })}\n`));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`${method}: the agent hung up`)));
      socket.on('data', (piece: string) => {
        text += piece;
        if (!text.endsWith('\n')) return;
        const answer = JSON.parse(text.trimEnd().split('\n').at(-1)!) as {
          result?: unknown;
          error?: Json;
          event?: unknown;
        };
        if (answer.event !== undefined) return;
        socket.destroy();
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${JSON.stringify(answer.error)}`));
      });
    });
  }

  async info(disk: string): Promise<Json> {
    return (await this.call('disk.info', { name: disk })) as Json;
  }

  /** Waits until the two agents share the disk. */
  connectedTo(other: Host): Promise<unknown> {
    return eventually(`${this.name} meets ${other.name}`, async () => {
      const { peers } = (await this.call('peer.ls', {})) as { peers: Json[] };
      return peers.some((peer) => peer.hostId === other.id && (peer.disks as string[]).length > 0);
    });
  }

  /** Lets `guest` have the disk: grants here, joins there. */
  async invite(guest: Host, disk: string, role: 'reader' | 'writer' | 'keeper' = 'writer'): Promise<string> {
    const { invitation } = await this.ok('disk', 'grant', disk, '--host', guest.id, '--role', role);
    await guest.ok('disk', 'join', String(invitation));
    return String(invitation);
  }
}

/** Starts a tracker, on a free loopback port unless told otherwise. */
export function startTracker(
  t: ExecutionContext,
  {
    prefix = [],
    listen = '127.0.0.1:0',
    args = [],
  }: { readonly prefix?: readonly string[]; readonly listen?: string; readonly args?: readonly string[] } = {},
): Promise<Daemon> {
  return Daemon.start(t, [...prefix, ...DISKSWARM, 'tracker', '--listen', listen, '--json', ...args], ENVIRONMENT);
}

/** Runs a program that must end well; its output. */
export function program(command: readonly string[], timeoutMs = 60_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let output = '';
    const take = (text: Buffer): void => {
      output = (output + text.toString()).slice(-STDERR_CHARS);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(output);
      else reject(new Error(`${command.join(' ')} ended with ${code}: ${output}`));
    });
  });
}

/** Whether a program is installed. */
export function isInstalled(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => fs.existsSync(path.join(folder, name)));
}
