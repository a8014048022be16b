/**
 * The programs of the host that guests need: where they are, which Debian package has them, and running one.
 *
 * Leaves installing them to scripts/setup.mjs. A program that fails raises EXTERNAL_TOOL_FAILED with the end of what it
 * wrote; its output is bounded.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';

const MAX_TOOL_OUTPUT_BYTES = 16 * 1024 * 1024;
const MAX_QUOTED_OUTPUT = 600;
// A plain user's PATH on Debian lacks the sbin folders, where mke2fs and debugfs live.
const EXTRA_FOLDERS = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/bin'];

const NEEDED: readonly (readonly [tool: string, debianPackage: string])[] = [
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['busybox', 'busybox-static'],
  ['mke2fs', 'e2fsprogs'],
  ['debugfs', 'e2fsprogs'],
  ['apt-get', 'apt'],
  ['dpkg-deb', 'dpkg'],
];

/** What is there to run guests with. */
export interface QemuProbe {
  /** True when every program is there; the kernel may still have to be downloaded. */
  readonly available: boolean;
  /** Debian package names, each once. */
  readonly missingPackages: readonly string[];
}

/** The full path of an executable, or undefined. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...EXTRA_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next folder.
    }
  }
  return undefined;
}

/** The full path of an executable that must be there. @throws DiskswarmError EXTERNAL_TOOL_FAILED with an install hint. */
export function requireTool(name: string): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  const debianPackage = NEEDED.find(([tool]) => tool === name)?.[1] ?? name;
  throw new DiskswarmError('EXTERNAL_TOOL_FAILED', `${name} is missing. ${installHint([debianPackage])}`, {
    data: { tool: name, missingPackages: [debianPackage] },
  });
}

/** Looks for the programs that building and booting a guest takes. Starts nothing. */
export function probeQemu(): QemuProbe {
  const missing = new Set<string>();
  for (const [tool, debianPackage] of NEEDED) if (findTool(tool) === undefined) missing.add(debianPackage);
  if (process.platform !== 'linux' || process.arch !== 'x64') missing.add('qemu-system-x86');
  return { available: missing.size === 0, missingPackages: [...missing] };
}

/** One sentence that says how to get what is missing. @default packages all that guests need */
export function installHint(packages: readonly string[] = [...new Set(NEEDED.map((entry) => entry[1]))]): string {
  return `On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${packages.join(' ')}`;
}

/** How to run a tool. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Given to the program on its standard input. */
  readonly input?: string;
  /** @default 120000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a program to its end and returns its standard output.
 *
 * @throws DiskswarmError EXTERNAL_TOOL_FAILED when it is missing, exits other than 0, writes too much or takes too long.
 */
export async function runTool(name: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const path = requireTool(name);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(
    path,
    args,
    {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      timeout: options.timeoutMs ?? 120_000,
      maxBuffer: MAX_TOOL_OUTPUT_BYTES,
      ...(options.signal ? { signal: options.signal } : {}),
    },
    (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = (stderr.trim() || stdout.trim() || messageOf(error)).slice(-MAX_QUOTED_OUTPUT);
      reject(
        new DiskswarmError('EXTERNAL_TOOL_FAILED', `${name} failed: ${said}`, {
          data: { tool: name, exitCode: error.code ?? null },
          cause: error,
        }),
      );
    },
  );
  // A program that ends early closes its input: its exit code tells, not this pipe.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input ?? '');
  return promise;
}
