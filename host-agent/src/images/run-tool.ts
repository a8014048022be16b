/**
 * Runs a program of the system (qemu-img) and reports its failure as one of our errors.
 *
 * Arguments never pass through a shell and never carry secrets; output is bounded.
 */
import { spawn } from 'node:child_process';
import { DiskswarmError } from '@diskswarm/core';

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const MAX_MESSAGE_BYTES = 2000;

export interface ToolFailure {
  /** The program is not installed. */
  readonly missing: boolean;
  readonly message: string;
}

/** Standard output of a program that ended with 0, or one of `goodCodes`; otherwise `onFailure` decides what to throw. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: { signal: AbortSignal; goodCodes?: readonly number[]; onFailure(failure: ToolFailure): Error },
): Promise<string> {
  const { goodCodes = [0] } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: options.signal });
    const output: Buffer[] = [];
    let outputBytes = 0;
    let message = '';
    child.stdout.on('data', (bytes: Buffer) => {
      outputBytes += bytes.length;
      if (outputBytes > MAX_OUTPUT_BYTES) child.kill('SIGKILL');
      else output.push(bytes);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      message = (message + bytes.toString()).slice(-MAX_MESSAGE_BYTES);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.name === 'AbortError') reject(new DiskswarmError('ABORTED', `${program} was stopped`));
      else reject(options.onFailure({ missing: error.code === 'ENOENT', message: error.message }));
    });
    child.on('close', (code) => {
      if (code !== null && goodCodes.includes(code)) resolve(Buffer.concat(output).toString());
      else reject(options.onFailure({ missing: false, message: message.trim() || `ended with ${code}` }));
    });
  });
}

/** What to throw when a program of qemu-utils fails for a reason that is not the image's. */
export function toolError(program: string, failure: ToolFailure): DiskswarmError {
  const text = failure.missing
    ? `${program} is not installed; Debian and Ubuntu have it in the package qemu-utils`
    : `${program}: ${failure.message}`;
  return new DiskswarmError('EXTERNAL_TOOL_FAILED', text, { data: { program, package: 'qemu-utils' } });
}
