/**
 * A migration that somebody asked for on the command line, and the phases of its source as they come.
 *
 * The link is held until the phases are watched, so that the first of them cannot be missed.
 */
import net from 'node:net';
import path from 'node:path';
import type { Outcome } from '../e2e/processes.ts';
import { VM, type World } from './world.ts';

export const PHASES = [
  'preparing',
  'bulk',
  'rounds',
  'memory',
  'switchover',
  'confirming',
  'relinquishing',
  'post',
] as const;
export type Phase = (typeof PHASES)[number];

const RETRY_MS = 10;
/** A command that was asked for before a fault ends in a while, whatever it has to say. */
const PATIENCE_MS = 20_000;

export class MigrationWatch {
  readonly #world: World;
  /** How the command ended; null when it could not say. */
  readonly done: Promise<Outcome | null>;
  /** Phases of the source so far. */
  readonly seen: string[] = [];
  readonly #waiting = new Map<string, (reached: boolean) => void>();
  #socket: net.Socket | null = null;
  #over = false;

  private constructor(world: World, args: readonly string[]) {
    this.#world = world;
    this.done = world.home.run(['vm', 'migrate', VM, '--to', world.office.id, ...args]).catch(() => null);
    void this.done.then(() => this.#end());
  }

  /** Asks for it with the link held; resolves when its phases are watched, or it is over already. */
  static async start(world: World, args: readonly string[] = []): Promise<MigrationWatch> {
    world.relay.hold('there', 'back');
    const watch = new MigrationWatch(world, args);
    while (watch.seen.length === 0 && !watch.#over) {
      await watch.#watch();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return watch;
  }

  /** Calls `act` as soon as the source enters `phase`; resolves with false when it ends without. */
  reach(phase: Phase, act: () => void): Promise<boolean> {
    if (this.seen.at(-1) === phase) {
      act();
      return Promise.resolve(true);
    }
    if (this.#over || this.seen.includes(phase)) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.set(phase, (reached) => {
        if (reached) act();
        resolve(reached);
      });
    });
  }

  /** What the command said: `done`, a code, `nothing` when the agent it asked is gone; `waits` when it does not end. */
  result(): Promise<string> {
    const said = this.done.then((outcome) => (outcome === null ? 'nothing' : (outcome.errorCode ?? 'done')));
    const patience = new Promise<string>((resolve) => setTimeout(() => resolve('waits'), PATIENCE_MS).unref());
    return Promise.race([said, patience]);
  }

  close(): void {
    this.#socket?.destroy();
  }

  #watch(): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect(path.join(this.#world.home.state, 'control.sock'));
      this.#socket = socket;
      let text = '';
      socket.setEncoding('utf8');
      socket.on('connect', () => {
        socket.write(`${JSON.stringify({ id: 1, method: 'vm.migrateStatus', params: { name: VM, watch: true } })}\n`);
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.on('data', (piece: string) => {
        const lines = (text + piece).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const { event, result } = JSON.parse(line) as { event?: { phase: string }; result?: { phase: string } };
          const phase = event?.phase ?? result?.phase;
          if (phase !== undefined) {
            this.#heard(phase);
            resolve();
          }
          if (event === undefined) socket.destroy();
        }
      });
    });
  }

  #heard(phase: string): void {
    if (this.seen.at(-1) === phase) return;
    this.seen.push(phase);
    const waiting = this.#waiting.get(phase);
    this.#waiting.delete(phase);
    waiting?.(true);
    if (phase === 'ended') this.#end();
  }

  #end(): void {
    this.#over = true;
    for (const waiting of this.#waiting.values()) waiting(false);
    this.#waiting.clear();
  }
}
