/**
 * A defect of emulating QEMUs before 9.0, and how machines are made so that it does not strike. Pure.
 *
 * Between two passes over the memory of a machine that moves, the marks of changed pages are cleared; the emulated processor has to be told, or it goes on
 * writing to such a page without marking it, and the change is lost (QEMU's commit 03bfc2188f06). The short way, taken for a block of memory of whole 64
 * pages, did not tell it. The long way, for a block of any other size, always did: so a machine gets 8 KiB more.
 */
import type { Accelerator, VmDefinition } from './definition.ts';

/** The first QEMU whose short way tells the emulated processor. */
export const TELLS_SINCE = 9;
/** 64 pages. */
const SHORT_WAY_BYTES = 256 * 1024;
/** QEMU rounds a machine's memory up to this. */
const QEMU_STEP_BYTES = 8 * 1024;
/** With these the memory is described elsewhere, or its blocks have sizes of their own. */
const OWN_MEMORY = /^--?(numa|mem-path)$|memory-backend|memdev/;

/** The memory for a machine that is to have `wantedBytes`. `qemuVersion` as QEMU prints it. */
export function memoryBytesFor(
  wantedBytes: number,
  { accel, qemuVersion, args }: { accel: Accelerator; qemuVersion: string; args: readonly string[] },
): number {
  if (!isDefective(accel, qemuVersion) || hasOwnMemory(args) || !goesShortWay(wantedBytes)) return wantedBytes;
  return roundedUp(wantedBytes) + QEMU_STEP_BYTES;
}

/** True when a move of this machine may lose changes of its memory. */
export function mayLoseMemory(
  { accel, memoryBytes, adopted, args }: Pick<VmDefinition, 'accel' | 'memoryBytes' | 'adopted' | 'args'>,
  qemuVersion: string,
): boolean {
  // What an adopted machine's memory is made of is not known here.
  return isDefective(accel, qemuVersion) && (adopted === true || hasOwnMemory(args) || goesShortWay(memoryBytes));
}

function isDefective(accel: Accelerator, qemuVersion: string): boolean {
  return accel === 'tcg' && Number.parseInt(qemuVersion, 10) < TELLS_SINCE;
}

function goesShortWay(memoryBytes: number): boolean {
  return roundedUp(memoryBytes) % SHORT_WAY_BYTES === 0;
}

function roundedUp(memoryBytes: number): number {
  return Math.ceil(memoryBytes / QEMU_STEP_BYTES) * QEMU_STEP_BYTES;
}

function hasOwnMemory(args: readonly string[]): boolean {
  return args.some((argument) => OWN_MEMORY.test(argument));
}
