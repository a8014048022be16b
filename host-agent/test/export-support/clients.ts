/**
 * Real NBD clients against a server of ours: a scratch folder, a disk, a server, and a way to run programs.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Backing } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import type { ExportHandle } from '@diskswarm/nbd';
import type { ExecutionContext } from 'ava';
import { type NbdServer, startNbdServer } from '../../src/export/index.ts';
import { FileBacking } from './file-backing.ts';

export const MIB = 1 << 20;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, at most a minute. */
export function run(program: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: 60_000, maxBuffer: 16 * MIB }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Runs a program that must succeed; its output. */
export async function ok(t: ExecutionContext, program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, ...args);
  t.is(code, 0, `${program} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A folder that goes away with the test. */
export function scratch(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'nbd-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function exportOf(backing: Backing, name = 'disk', options: { multiConn?: boolean } = {}): ExportHandle {
  return { name, description: `the disk ${name}`, backing, multiConn: options.multiConn ?? false };
}

export async function serve(
  t: ExecutionContext,
  folder: string,
  ...exports: ExportHandle[]
): Promise<{ server: NbdServer; uri: string; socketPath: string; defects: unknown[] }> {
  const socketPath = path.join(folder, 'nbd.sock');
  const defects: unknown[] = [];
  const server = await startNbdServer({
    socketPath,
    exports,
    clock: systemClock,
    onDefect: (error) => defects.push(error),
  });
  t.teardown(() => server.stop());
  return { server, socketPath, defects, uri: `nbd+unix:///${exports[0]?.name ?? ''}?socket=${socketPath}` };
}

/** Bytes that do not repeat soon: xorshift, the same for the same seed. */
export function noise(sizeBytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = seed * 0x9e3779b1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

/** A file of the given size: noise with holes of zeros, so that there is something to skip. */
export function image(folder: string, name: string, sizeBytes: number): string {
  const file = path.join(folder, name);
  const bytes = noise(sizeBytes);
  bytes.fill(0, sizeBytes / 4, sizeBytes / 2);
  fs.writeFileSync(file, bytes);
  return file;
}

export function fileExport(t: ExecutionContext, file: string, options: { readOnly?: boolean } = {}): FileBacking {
  const backing = new FileBacking(file, options);
  t.teardown(() => backing.close());
  return backing;
}

/** Runs a script of nbdsh, Debian's Python with libnbd; `h` is connected to the URI. */
export function nbdsh(t: ExecutionContext, uri: string, script: string, ...before: string[]): Promise<string> {
  return ok(
    t,
    '/usr/bin/python3',
    '-c',
    `import nbd\nh = nbd.NBD()\n${before.join('\n')}\nh.connect_uri("${uri}")\n${script}`,
  );
}
