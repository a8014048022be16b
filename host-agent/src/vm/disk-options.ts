/**
 * The options of a QEMU command line that open our exports: made portable, and filled in again on whatever host starts the machine. Pure.
 *
 * An export has another socket and perhaps another name on each host. So `server={disk0}` stands for it in a definition, in the place of the address,
 * and everything else about the drive stays as its user wrote it. Source: QEMU's -drive and -blockdev, driver nbd (7.2).
 */
import { DiskswarmError } from '@diskswarm/core';
import { type Option, optionsOf, wordsOf } from './foreign-arguments.ts';
import { formatPairs, lastOf, type OptionPairs, parsePairs } from './option-values.ts';
import type { VmDrive } from './qemu-command.ts';

/** How long the guest's requests wait for an agent that is away. */
export const RECONNECT_SECONDS = 3600;

const ADDRESS_KEYS = /^(server(\..*)?|path|host|port|export)$/;
const PLACE = /^\{disk(\d{1,2})\}$/;
const SHORT_DRIVES = ['-hda', '-hdb', '-hdc', '-hdd'];

/** An option that opens an NBD export over a Unix socket. */
interface NbdOption {
  readonly option: '-drive' | '-blockdev';
  readonly pairs: OptionPairs;
  /** In front of the keys of the NBD node: empty, or `file.`. */
  readonly prefix: string;
  readonly socket: string;
}

/** The option with what it opens, where that is an NBD export; null otherwise. */
function nbdOption({ option, value }: Option): NbdOption | null {
  if (value === null) return null;
  const short = SHORT_DRIVES.indexOf(option);
  if (short >= 0)
    return driveOf([
      ['index', String(short)],
      ['media', 'disk'],
      ['file', value],
    ]);
  if (option !== '-drive' && option !== '-blockdev') return null;
  const pairs = parsePairs(value, option === '-blockdev' ? 'driver' : undefined);
  if (pairs === null) return null;
  if (option === '-drive') return driveOf(pairs);
  const prefix = prefixOf(pairs);
  const socket = prefix === null ? null : socketOf(pairs, prefix);
  return prefix === null || socket === null ? null : { option, pairs, prefix, socket };
}

/** A drive's file may be a URI; its format is raw, whether it was said or probed. */
function driveOf(given: OptionPairs): NbdOption | null {
  const uri = lastOf(given, 'file');
  const socket = uri === null ? null : socketOfUri(uri);
  const pairs: OptionPairs =
    socket === null
      ? given
      : [...given.filter(([key]) => key !== 'file'), ['file.driver', 'nbd'], ['file.server.path', socket]];
  const prefix = prefixOf(pairs);
  const path = prefix === null ? null : socketOf(pairs, prefix);
  if (prefix === null || path === null) return null;
  const format = pairs.some(([key]) => key === 'format' || key === 'driver');
  return { option: '-drive', pairs: format ? pairs : [...pairs, ['format', 'raw']], prefix, socket: path };
}

function prefixOf(pairs: OptionPairs): string | null {
  const found = pairs.find(
    ([key, value]) => value === 'nbd' && (key === 'format' || key === 'driver' || key.endsWith('.driver')),
  );
  return found === undefined ? null : found[0].replace(/(driver|format)$/, '');
}

function socketOf(pairs: OptionPairs, prefix: string): string | null {
  return lastOf(pairs, `${prefix}server.path`) ?? lastOf(pairs, `${prefix}path`);
}

/** Of `nbd+unix:///NAME?socket=PATH` and `nbd:unix:PATH:exportname=NAME`; null for anything else. */
export function socketOfUri(uri: string): string | null {
  const legacy = /^nbd:unix:(.+?)(:exportname=.*)?$/s.exec(uri);
  if (legacy !== null) return legacy[1]!;
  const modern = /^nbd\+unix:\/\/[^?]*\?(?:.*&)?socket=([^&]+)/s.exec(uri);
  if (modern === null) return null;
  try {
    return decodeURIComponent(modern[1]!);
  } catch {
    return modern[1]!;
  }
}

/** The sockets of the NBD exports that these options open, in order. */
export function socketsOf(options: readonly Option[]): string[] {
  return options.flatMap((option) => nbdOption(option)?.socket ?? []);
}

/** `options` with a place for each disk: `indexOf` says which one an export's socket is; null leaves an option as it is. */
export function withPlaces(options: readonly Option[], indexOf: (socket: string) => number | null): Option[] {
  return options.map((each) => {
    const nbd = nbdOption(each);
    const index = nbd === null ? null : indexOf(nbd.socket);
    if (nbd === null || index === null) return each;
    const { option, prefix } = nbd;
    const kept = nbd.pairs.filter(([key]) => !(key.startsWith(prefix) && ADDRESS_KEYS.test(key.slice(prefix.length))));
    return { option, value: formatPairs([...kept, [`${prefix}server`, `{disk${index}}`]]) };
  });
}

/** The arguments with the exports of this host in their places. INVALID_ARGUMENT unless each has exactly one. */
export function withDrives(args: readonly string[], drives: readonly VmDrive[]): string[] {
  const filled = new Set<VmDrive>();
  const options = optionsOf(args).map((each) => {
    const { option, value } = each;
    if ((option !== '-drive' && option !== '-blockdev') || value === null) return each;
    const pairs = parsePairs(value);
    const place = pairs?.find(([key, text]) => /(^|\.)server$/.test(key) && PLACE.test(text ?? ''));
    if (pairs === null || place === undefined) return each;
    const drive = drives[Number(PLACE.exec(place[1]!)![1])];
    if (drive === undefined || filled.has(drive)) throw misplaced(drives.length);
    filled.add(drive);
    const prefix = place[0].replace(/server$/, '');
    const reconnect = `${prefix}reconnect-delay`;
    const address: OptionPairs = [
      [`${prefix}server.type`, 'unix'],
      [`${prefix}server.path`, drive.socket],
      [`${prefix}export`, drive.exportName],
      ...(lastOf(pairs, reconnect) === null ? [[reconnect, String(RECONNECT_SECONDS)] as const] : []),
    ];
    return { option, value: formatPairs([...pairs.filter((pair) => pair !== place), ...address]) };
  });
  if (filled.size !== drives.length) throw misplaced(drives.length);
  return wordsOf(options);
}

function misplaced(disks: number): DiskswarmError {
  return new DiskswarmError(
    'INVALID_ARGUMENT',
    `the machine's QEMU arguments do not open each of its ${disks} disk(s) exactly once`,
    { data: { disks } },
  );
}
