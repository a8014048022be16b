/** Runs the command line as a process of its own, from the sources, with an environment that holds nothing of the tester's. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const { NODE_COMPILE_CACHE } = process.env;
const ENTRY = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder that goes away with the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ds-cli-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One home: state folder, owner file, and the passphrase "word". */
export class Home {
  readonly folder: string;
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext) {
    this.#t = t;
    this.folder = temporaryFolder(t);
    fs.mkdirSync(this.state, { mode: 0o700 });
  }

  get state(): string {
    return path.join(this.folder, 'state');
  }

  get ownerFile(): string {
    return path.join(this.folder, 'config', 'owner.key');
  }

  /** Starts a command; it is killed with the test if it still runs. */
  spawn(args: readonly string[], env: Record<string, string> = {}): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, ['--conditions=source', ENTRY, ...args], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH ?? '',
        ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
        HOME: this.folder,
        DISKSWARM_STATE: this.state,
        DISKSWARM_OWNER: this.ownerFile,
        DISKSWARM_PASSPHRASE: 'word',
        ...env,
      },
    });
    this.#t.teardown(() => child.kill('SIGKILL'));
    return child;
  }

  /** Runs a command to its end. */
  async run(
    args: readonly string[],
    options: { env?: Record<string, string>; stdin?: string } = {},
  ): Promise<Finished> {
    const child = this.spawn(args, options.env);
    child.stdin.end(options.stdin ?? '');
    return finished(child);
  }

  /** Runs with --json; the one document on stdout and the exit code. */
  async json(
    args: readonly string[],
    options: { env?: Record<string, string>; stdin?: string } = {},
  ): Promise<Document> {
    const { code, stdout, stderr } = await this.run([...args, '--json'], options);
    const lines = stdout.split('\n').filter((line) => line !== '');
    if (lines.length !== 1) throw new Error(`${args.join(' ')}: ${lines.length} lines on stdout: ${stdout}\n${stderr}`);
    return { code, ...(JSON.parse(lines[0] as string) as object) };
  }
}

export interface Document {
  readonly code: number | null;
  readonly error?: { readonly code: string; readonly message: string; readonly data: Record<string, unknown> };
  readonly [key: string]: unknown;
}

/** Waits for the end of a process. */
export function finished(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  child.stdin.on('error', () => {});
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** The lines of stdout as they come; null at the end. */
export function linesOf(child: ChildProcessWithoutNullStreams): () => Promise<string | null> {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    return done === true ? null : (value as string);
  };
}
