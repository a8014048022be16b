/** What kind of machine this is, as far as figures depend on it; nothing that identifies it. */
import { readFileSync, statfsSync } from 'node:fs';
import os from 'node:os';
import { BLAKE3_BACKEND } from '@diskswarm/core';

/** File systems by their magic numbers (statfs(2)). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
};

/** One line for the report. */
export function describeMachine(): string {
  const cpus = os.cpus();
  const model = cpus[0]?.model.trim() ?? 'unknown';
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return [
    `${cpus.length} cores (${model})`,
    `${memory} GiB`,
    `Linux ${os.release().split('-')[0]}`,
    `Node ${process.versions.node}`,
    `BLAKE3 ${BLAKE3_BACKEND}`,
    `files on ${FILE_SYSTEMS[statfsSync(os.tmpdir()).type] ?? 'another file system'}`,
  ].join(', ');
}

/** Anonymous memory of a process, bytes. */
export function rssAnonBytes(pid: number): number {
  return statusBytes(pid, 'RssAnon');
}

/** Highest resident memory of a process so far, bytes. */
export function peakBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

function statusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
}

/** The load of the last minute. */
export function load(): number {
  return os.loadavg()[0] as number;
}
