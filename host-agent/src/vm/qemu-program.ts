/** What the QEMU of this host can do: its version, its machine types, whether it is there. Asked once for each agent run. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DiskswarmError } from '@diskswarm/core';

export const QEMU = 'qemu-system-x86_64';

const run = promisify(execFile);

export interface QemuProgram {
  /** As QEMU prints it: 7.2.22. */
  readonly version: string;
  /** Names of machine types, aliases included, each with the type it stands for. */
  readonly machines: ReadonlyMap<string, string>;
}

let known: Promise<QemuProgram> | null = null;

/** EXTERNAL_TOOL_FAILED where QEMU is missing or broken. */
export function qemuProgram(): Promise<QemuProgram> {
  known ??= probe();
  known.catch(() => {
    known = null;
  });
  return known;
}

async function probe(): Promise<QemuProgram> {
  try {
    const [version, machines] = await Promise.all([
      run(QEMU, ['--version'], { timeout: 20_000 }),
      run(QEMU, ['-machine', 'help'], { timeout: 20_000 }),
    ]);
    return { version: /version (\S+)/.exec(version.stdout)?.[1] ?? 'unknown', machines: machinesOf(machines.stdout) };
  } catch (error) {
    throw new DiskswarmError(
      'EXTERNAL_TOOL_FAILED',
      `${QEMU} is missing or does not run; on Debian and Ubuntu the package is qemu-system-x86`,
      { data: { tool: QEMU }, cause: error },
    );
  }
}

/** Lines like `pc  Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)`. */
function machinesOf(text: string): Map<string, string> {
  const machines = new Map<string, string>();
  for (const line of text.split('\n').slice(1)) {
    const name = /^(\S+)/.exec(line)?.[1];
    if (name !== undefined) machines.set(name, /\(alias of (\S+)\)/.exec(line)?.[1] ?? name);
  }
  return machines;
}
