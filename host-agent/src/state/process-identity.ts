/**
 * Names a process so that the name outlives it: its id, its start time in the kernel's ticks, the boot and the pid namespace.
 *
 * A process id alone is reused; together with the start time it is not, until the next boot. Where there is no /proc
 * only the id is known, and a reused one is taken for the process itself.
 */
import fs from 'node:fs';

/** A process as a lock file names it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat; null where unknown. */
  readonly startTicks: number | null;
  readonly bootId: string | null;
  /** Inode of the pid namespace: a pid means nothing in another one. */
  readonly pidNamespace: string | null;
}

/** `unknowable`: it lives, or lived, where this process cannot look. */
export type Liveness = 'alive' | 'dead' | 'unknowable';

/** The name of the process that calls. */
export function ownIdentity(): ProcessIdentity {
  return identityOf(process.pid);
}

/** The name of a process of this machine that runs. */
export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid), bootId: bootId(), pidNamespace: pidNamespace() };
}

/** Whether the named process still runs. */
export function livenessOf(identity: ProcessIdentity): Liveness {
  if (identity.bootId !== bootId()) return 'dead';
  if (identity.pidNamespace !== pidNamespace()) return 'unknowable';
  if (identity.startTicks === null) return respondsToSignals(identity.pid) ? 'alive' : 'dead';
  return startTicksOf(identity.pid) === identity.startTicks ? 'alive' : 'dead';
}

/** The text of an identity, and its opposite; null for a text that is none (a lock whose content a power cut lost). */
export function encodeIdentity(identity: ProcessIdentity): string {
  return `${JSON.stringify(identity)}\n`;
}

export function decodeIdentity(text: string): ProcessIdentity | null {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    if (value === null || !Number.isSafeInteger(value.pid) || (value.pid as number) <= 0) return null;
    return {
      pid: value.pid as number,
      startTicks: value.startTicks ?? null,
      bootId: value.bootId ?? null,
      pidNamespace: value.pidNamespace ?? null,
    };
  } catch {
    return null;
  }
}

/** The command's name may hold spaces and parentheses: fields are counted after the last one. */
function startTicksOf(pid: number): number | null {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds nothing any more.
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const ticks = Number(fields[19]);
  return Number.isSafeInteger(ticks) ? ticks : null;
}

function bootId(): string | null {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? null;
}

function pidNamespace(): string | null {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}

function readText(path: string): string | null {
  try {
    return fs.readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

function respondsToSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
