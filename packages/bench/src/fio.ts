/**
 * fio with its nbd engine: the load that all NBD servers get alike.
 *
 * fio loops over the whole of the export with a fixed seed; figures are its own (operations and bytes per second, percentiles
 * of completion latency).
 */
import { run } from './programs.ts';

export interface FioJob {
  readonly uri: string;
  readonly rw: 'randread' | 'randwrite' | 'read' | 'write';
  readonly blockBytes: number;
  readonly depth: number;
  readonly seconds: number;
  /** Bytes of the export that are used, from its start. */
  readonly sizeBytes: number;
  /** A command in front, such as taskset. */
  readonly prefix?: readonly string[];
}

export interface FioResult {
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly bytes: number;
  /** Completion latency, microseconds. */
  readonly latencyUs: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
}

/** Runs one job. */
export async function fio(job: FioJob): Promise<FioResult> {
  const { stdout } = await run([
    ...(job.prefix ?? []),
    ...['fio', '--name=bench', '--ioengine=nbd', `--uri=${job.uri}`, `--rw=${job.rw}`, `--bs=${job.blockBytes}`],
    ...[
      `--iodepth=${job.depth}`,
      `--size=${job.sizeBytes}`,
      '--time_based',
      `--runtime=${Math.round(job.seconds * 1000)}ms`,
    ],
    ...['--randseed=7', '--norandommap', '--percentile_list=50:99:99.9', '--output-format=json'],
  ]);
  return resultOf(stdout, job.rw);
}

/** Writes the whole range in random order with checksums and reads it back; throws when a byte is wrong. */
export async function fioVerify(uri: string, sizeBytes: number): Promise<void> {
  await run([
    ...['fio', '--name=verify', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=16'],
    ...[
      `--size=${sizeBytes}`,
      '--randseed=7',
      '--verify=crc32c',
      '--do_verify=1',
      '--verify_fatal=1',
      '--verify_state_save=0',
    ],
    ...['--output-format=json'],
  ]);
}

/** Overwrites blocks of 4 KiB at random places with random bytes, and flushes. */
export async function fioScatter(
  uri: string,
  options: { sizeBytes: number; writes: number; seed: number },
): Promise<void> {
  await run([
    ...['fio', '--name=scatter', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=4'],
    ...[`--size=${options.sizeBytes}`, `--number_ios=${options.writes}`, `--randseed=${options.seed}`],
    ...['--refill_buffers', '--end_fsync=1', '--output-format=json'],
  ]);
}

/** Reads or writes the data at the start of each stride of a large disk, 1 MiB at a time. */
export async function fioStride(options: {
  readonly uri: string;
  readonly rw: 'read' | 'write';
  readonly strideBytes: number;
  readonly dataBytes: number;
  readonly streamBytes: number;
}): Promise<void> {
  const zones = [`--zonemode=strided`, `--zonesize=${options.dataBytes}`, `--zonerange=${options.strideBytes}`];
  await run([
    ...[
      'fio',
      '--name=stride',
      '--ioengine=nbd',
      `--uri=${options.uri}`,
      `--rw=${options.rw}`,
      '--bs=1m',
      '--iodepth=4',
    ],
    ...[...zones, `--io_size=${options.streamBytes}`, '--refill_buffers', '--randseed=9', '--output-format=json'],
  ]);
}

function resultOf(stdout: string, rw: FioJob['rw']): FioResult {
  // Lines such as a note about an engine may come before the document.
  const document = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: Record<string, FioSide>[] };
  const side = document.jobs[0]?.[rw.endsWith('read') ? 'read' : 'write'];
  if (side === undefined || side.total_ios === 0) throw new Error('fio did nothing');
  const at = (key: string): number => (side.clat_ns.percentile?.[key] ?? 0) / 1000;
  return {
    iops: side.iops,
    bytesPerSecond: side.bw_bytes,
    bytes: side.io_bytes,
    latencyUs: { p50: at('50.000000'), p99: at('99.000000'), p999: at('99.900000'), max: side.clat_ns.max / 1000 },
  };
}

interface FioSide {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly io_bytes: number;
  readonly total_ios: number;
  readonly clat_ns: { readonly max: number; readonly percentile?: Readonly<Record<string, number>> };
}
