/**
 * The line to a guest that moves: joins the protocol sockets of several QEMUs and notes when each of the guest's lines came.
 *
 * Times are this process's own and not the guest's, whose clock stands still while it is paused.
 */
import { connect, type Socket } from 'node:net';
import { parseGuestLine } from '@diskswarm/guest';
import { pause } from '../programs.ts';

const RETRY_MS = 20;
const ANSWER_MS = 30_000;

/** What a guest at work says: a tick, a block that is written and fsynced, one that was read. */
export type GuestBeat = 'tick' | 'wrote' | 'read';

interface Answer {
  readonly ok: boolean;
  readonly words: readonly string[];
}

export class GuestLine {
  /** When each tick of the guest came, milliseconds. */
  readonly ticks: number[] = [];
  /** When the guest said that a block was written and fsynced, milliseconds. */
  readonly writes: number[] = [];
  /** The count that the guest gave with its newest write. */
  lastWrite = 0;
  readonly #sockets = new Set<Socket>();
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #current: Socket | null = null;
  #ready = Promise.withResolvers<void>();
  readonly #onBeat: (beat: GuestBeat, atMs: number) => void;
  #tag = 0;
  #closed = false;

  /** `onBeat` is told of each as it comes. */
  constructor(onBeat: (beat: GuestBeat, atMs: number) => void = () => {}) {
    this.#onBeat = onBeat;
  }

  /** Resolves when the guest is up. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Listens to a socket as soon as it is there; commands go to the one that was attached last. */
  async attach(path: string): Promise<void> {
    while (!this.#closed) {
      const socket = connect(path);
      const open = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (!open) {
        await pause(RETRY_MS);
        continue;
      }
      this.#sockets.add(socket);
      this.#current = socket;
      this.#listen(socket);
      return;
    }
  }

  /** Sends a command and leaves it at that: its answer may come after minutes, or never. Tells whether it came and said yes. */
  tell(...command: readonly (string | number)[]): () => boolean {
    let done = false;
    this.#send(command, ({ ok }) => {
      done = ok;
    });
    return () => done;
  }

  /** Sends a command and gives the words of its answer; rejects when the guest says that it failed. */
  async say(...command: readonly (string | number)[]): Promise<readonly string[]> {
    const { promise: answered, resolve } = Promise.withResolvers<Answer>();
    const tag = this.#send(command, resolve);
    const silent = (): void => {
      // Whether it runs and writes at all tells a guest that stands still from a command that was lost.
      const since = (times: readonly number[]): number =>
        times.filter((at) => at > performance.now() - ANSWER_MS).length;
      const words = [`no answer in ${ANSWER_MS} ms, but ${since(this.ticks)} ticks and ${since(this.writes)} writes`];
      this.#answers.get(tag)?.({ ok: false, words });
    };
    const timer = setTimeout(silent, ANSWER_MS);
    const { ok, words } = await answered;
    clearTimeout(timer);
    this.#answers.delete(tag);
    if (!ok) throw new Error(`the guest: ${command.join(' ')}: ${words.join(' ')}`);
    return words;
  }

  /** Gives the command's tag. */
  #send(command: readonly (string | number)[], onAnswer: (answer: Answer) => void): number {
    const tag = ++this.#tag;
    this.#answers.set(tag, onAnswer);
    this.#current?.write(`\n@${tag} ${command.join(' ')}\n`);
    return tag;
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #listen(socket: Socket): void {
    let rest = '';
    socket.setEncoding('latin1');
    socket.on('error', () => {}); // Its QEMU ended.
    socket.on('data', (text: string) => {
      const nowMs = performance.now();
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#hear(line.trim(), nowMs);
    });
  }

  #hear(line: string, nowMs: number): void {
    if (line.startsWith('DS-TICK')) {
      this.ticks.push(nowMs);
      this.#onBeat('tick', nowMs);
    }
    if (line.startsWith('DS-READ ')) this.#onBeat('read', nowMs);
    if (line.startsWith('DS-WROTE')) {
      this.writes.push(nowMs);
      this.#onBeat('wrote', nowMs);
      this.lastWrite = Number(line.split(' ')[1]);
    }
    const event = parseGuestLine(line);
    if (event?.type === 'ready') this.#ready.resolve();
    if (event?.type === 'fatal') this.#ready.reject(new Error(event.reason));
    if (event?.type === 'result') this.#answers.get(event.tag)?.({ ok: event.ok, words: event.words });
  }
}
