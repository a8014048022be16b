/**
 * The arguments of a QEMU that somebody else started, turned into a definition's, and back into the command line of its twin. Pure.
 *
 * What decides the machine stays as it is and where it is, because the order of devices is part of what a guest sees. Taken out is what belongs to the one
 * process (its monitor, its pid file, how it begins) and what the definition says in fields of its own (machine type, memory, processors).
 */
import { DiskswarmError } from '@diskswarm/core';
import { withDrives, withPlaces } from './disk-options.ts';
import { type Option, optionsOf, wordsOf } from './foreign-arguments.ts';
import { formatPairs, lastOf, type OptionPairs, parsePairs } from './option-values.ts';
import type { QemuCommand } from './qemu-command.ts';

/** Of one process, not of its machine. */
const OF_THE_PROCESS = ['-S', '-daemonize', '-pidfile'];
/** What a twin cannot be started with: its memory comes from its brother, and its disks as they are. */
const IMPOSSIBLE = ['-incoming', '-loadvm', '-snapshot', '-readconfig', '-preconfig'];
const MACHINE = ['-M', '-machine'];
const NETWORKS = ['-nodefaults', '-nic', '-net', '-netdev'];
const SCREENS = ['-display', '-nographic', '-curses', '-vnc', '-spice', '-sdl'];

/** What the arguments say, apart from what a definition repeats. */
export interface PortableArguments {
  readonly args: readonly string[];
  /** As it was written, an alias perhaps; null for QEMU's default. */
  readonly machine: string | null;
  /** Null for QEMU's default. */
  readonly memoryBytes: number | null;
}

/** `isMonitor`: whether a path is the monitor that the agent was given; `indexOf`: which disk an export's socket is. INVALID_ARGUMENT. */
export function portableArguments(
  options: readonly Option[],
  { isMonitor, indexOf }: { isMonitor: (path: string) => boolean; indexOf: (socket: string) => number | null },
): PortableArguments {
  const impossible = options.find(({ option }) => IMPOSSIBLE.includes(option));
  if (impossible !== undefined) throw invalid(`a machine with ${impossible.option} has no twin; leave it out`);
  let machine: string | null = null;
  let memoryBytes: number | null = null;
  const monitor = monitorChardev(options, isMonitor);
  const kept = options.flatMap((each): Option[] => {
    const { option, value } = each;
    if (OF_THE_PROCESS.includes(option)) {
      if (value !== null && option !== '-pidfile') throw invalid(`${option} takes no value`);
      return [];
    }
    if (value === null) return [each];
    if (MACHINE.includes(option)) {
      const pairs = parsePairs(value, 'type') ?? [];
      machine = lastOf(pairs, 'type') ?? machine;
      const rest = pairs.filter(([key]) => key !== 'type');
      return rest.length === 0 ? [] : [{ option: '-machine', value: formatPairs(rest) }];
    }
    if (option === '-m') {
      const pairs = parsePairs(value, 'size') ?? [];
      memoryBytes = memoryOf(lastOf(pairs, 'size'));
      return pairs.length > 1 ? [each] : [];
    }
    if (option === '-smp' && /^(cpus=)?\d+$/.test(value)) return [];
    return isOfMonitor(each, monitor, isMonitor) ? [] : [each];
  });
  // What QEMU does without being told reaches the host's network: said aloud, the other host's user is asked.
  const network = kept.some(({ option }) => NETWORKS.includes(option)) ? [] : ['-net', 'nic', '-net', 'user'];
  return { args: [...wordsOf(withPlaces(kept, indexOf)), ...network], machine, memoryBytes };
}

/** The command line of the twin. INVALID_ARGUMENT unless it opens each of its disks once. */
export function twinArguments({ definition, drives, qmpSocket, incoming }: QemuCommand): string[] {
  const { name, machine, accel, cpus, memoryBytes, args } = definition;
  const options = optionsOf(args);
  const has = (...wanted: readonly string[]): boolean => options.some(({ option }) => wanted.includes(option));
  const accelerated =
    has('-accel', '-enable-kvm') ||
    options.some(({ option, value }) => option === '-machine' && lastOf(parsePairs(value ?? '') ?? [], 'accel'));
  return [
    ...['-machine', machine],
    ...(has('-name') ? [] : ['-name', name]),
    ...(has(...SCREENS) ? [] : ['-display', 'none']),
    ...(has(...NETWORKS) ? [] : ['-nic', 'none']),
    ...(accelerated ? [] : ['-accel', accel]),
    ...(has('-smp') ? [] : ['-smp', String(cpus)]),
    ...(has('-m') ? [] : ['-m', `${Math.ceil(memoryBytes / 1024)}k`]),
    ...[
      '-chardev',
      formatPairs([
        ['socket', null],
        ['id', 'ds-qmp'],
        ['path', qmpSocket],
        ['server', 'on'],
        ['wait', 'off'],
      ]),
    ],
    ...['-mon', 'chardev=ds-qmp,mode=control'],
    ...withDrives(args, drives),
    ...(incoming ? ['-S', '-incoming', 'defer'] : []),
  ];
}

/** `512`, `512M`, `2G`: mebibytes unless it says otherwise. */
function memoryOf(text: string | null): number {
  const match = /^(\d{1,12})([bkmgt]?)$/i.exec(text ?? '');
  if (match === null) throw invalid(`"-m ${text}" is no size of memory`);
  const power = { b: 0, k: 1, m: 2, g: 3, t: 4 }[match[2]!.toLowerCase()] ?? 2;
  return Number(match[1]) * 1024 ** power;
}

/** The id of the character device that is the monitor; null where the monitor has none of its own. */
function monitorChardev(options: readonly Option[], isMonitor: (path: string) => boolean): string | null {
  for (const { option, value } of options) {
    if (option !== '-chardev' || value === null) continue;
    const pairs: OptionPairs = parsePairs(value, 'backend') ?? [];
    const path = lastOf(pairs, 'path');
    if (path !== null && isMonitor(path)) return lastOf(pairs, 'id');
  }
  return null;
}

function isOfMonitor({ option, value }: Option, chardev: string | null, isMonitor: (path: string) => boolean): boolean {
  if (value === null) return false;
  if (option === '-qmp' || option === '-qmp-pretty') {
    const path = /^unix:([^,]*)/.exec(value)?.[1];
    return path !== undefined ? isMonitor(path) : chardev !== null && value === `chardev:${chardev}`;
  }
  if (chardev === null) return false;
  if (option === '-chardev') return lastOf(parsePairs(value) ?? [], 'id') === chardev;
  return option === '-mon' && lastOf(parsePairs(value, 'chardev') ?? [], 'chardev') === chardev;
}

function invalid(why: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `the QEMU arguments cannot start a twin: ${why}`, {
    data: { field: 'qemu-args' },
  });
}
