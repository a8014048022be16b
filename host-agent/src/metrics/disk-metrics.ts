/**
 * What is told of each disk, under its name: what is here, who has it, what guests waited for, and what their machines asked.
 *
 * Counts of NBD requests begin anew with each attachment; everything else with the agent.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { HistogramSample, MetricsPage, Sample } from '@diskswarm/metrics';
import { diskInfo } from '../agent/disk-status.ts';
import { FETCH_STAGES } from '../agent/fault-statistics.ts';
import type { LatencyHistogram } from '../agent/latency-histogram.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { SOURCE_KINDS } from '../agent/source-kind.ts';
import type { AttachmentStatus } from '../attachment/attachment.ts';
import type { DiskInfo } from '../control/methods.ts';

/** Bounds are powers of two of a microsecond: 128 µs, doubling, to 33.6 s; of stages every second one. */
const WAIT_EXPONENTS = Array.from({ length: 19 }, (_, index) => 7 + index);
const STAGE_EXPONENTS = WAIT_EXPONENTS.filter((exponent) => exponent % 2 === 1);

/** One disk at one moment. */
export interface DiskReading {
  readonly disk: ManagedDisk;
  readonly info: DiskInfo;
  /** null when it is not attached. */
  readonly attachment: AttachmentStatus | null;
}

/** Asks the disk's thread; null for a disk that cannot answer just now, such as one whose export is being closed. */
export async function readDisk(disk: ManagedDisk): Promise<DiskReading | null> {
  try {
    const asked = disk.attachment.attachment?.status();
    const [info, attachment] = await Promise.all([diskInfo(disk), asked ?? null]);
    return { disk, info, attachment };
  } catch (error) {
    if (error instanceof DiskswarmError) return null;
    throw error;
  }
}

export function diskMetrics(page: MetricsPage, readings: readonly DiskReading[]): void {
  const gauge = (name: string, help: string, value: (info: DiskInfo, disk: ManagedDisk) => number): void =>
    page.gauge(
      `disk_${name}`,
      help,
      readings.map(({ disk, info }) => [{ disk: disk.name }, value(info, disk)]),
    );
  gauge('size_bytes', 'Size of the disk as its guest sees it.', (info) => info.sizeBytes);
  gauge('generation', 'Sequence number of the newest generation known here.', (info) => info.sequence);
  gauge('epoch', 'Epoch of the disk: it rises with each hand-over.', (info) => info.epoch);
  gauge('owned', '1 while this host owns the disk.', (_, disk) => Number(disk.records.owned));
  gauge('attached', '1 while the disk is attached here.', (info) => Number(info.attached !== null));
  gauge('clients', 'NBD clients of the disk.', (info) => info.attached?.clients ?? 0);
  gauge('peers', 'Connected hosts that share the disk.', (_, disk) => disk.peers.links().length);
  gauge('overlay_bytes', 'Bytes written here that no generation holds.', (info) => info.overlayDirtyBytes);
  gauge('safe_to_switch_off', '1 while this host may be switched off as far as the disk goes.', (info) =>
    Number(info.safeToSwitchOff),
  );
  page.gauge(
    'disk_chunks',
    'Chunks of the newest generation: here, all zeros, or missing.',
    readings.flatMap(({ disk, info: { piecesTotal, piecesZero, piecesPresent } }): Sample[] => [
      [{ disk: disk.name, state: 'present' }, piecesPresent],
      [{ disk: disk.name, state: 'zero' }, piecesZero],
      [{ disk: disk.name, state: 'missing' }, piecesTotal - piecesZero - piecesPresent],
    ]),
  );
  transferMetrics(page, readings);
  requestMetrics(page, readings);
}

function transferMetrics(page: MetricsPage, readings: readonly DiskReading[]): void {
  const received = (unit: 'chunks' | 'bytes'): Sample[] =>
    readings.flatMap(({ disk: { name, statistics } }) =>
      SOURCE_KINDS.flatMap((source) =>
        (['fault', 'background'] as const).map(
          (traffic): Sample => [{ disk: name, source, traffic }, statistics.receivedOver(source, traffic)[unit]],
        ),
      ),
    );
  page.counter('received_chunks_total', 'Chunks that came from other hosts.', received('chunks'));
  page.counter('received_bytes_total', 'Bytes of these chunks, as they are stored.', received('bytes'));
  const served = (unit: 'chunks' | 'bytes'): Sample[] =>
    readings.map(({ disk: { name, statistics } }) => [{ disk: name }, statistics.servedChunks[unit]]);
  page.counter('served_chunks_total', 'Chunks that were read here for other hosts.', served('chunks'));
  page.counter('served_bytes_total', 'Bytes of these chunks, before compression.', served('bytes'));
  page.histogram(
    'fault_wait_seconds',
    'How long a guest waited for a chunk that was not here.',
    readings.map(({ disk: { name, statistics } }) => histogramOf({ disk: name }, statistics.waits, WAIT_EXPONENTS)),
  );
  page.histogram(
    'fetch_stage_seconds',
    'Where the time of a fetch went that a guest waited for.',
    readings.flatMap(({ disk: { name, statistics } }) =>
      FETCH_STAGES.map((stage) => histogramOf({ disk: name, stage }, statistics.stage(stage), STAGE_EXPONENTS)),
    ),
  );
}

function requestMetrics(page: MetricsPage, readings: readonly DiskReading[]): void {
  const attached = readings.flatMap(({ disk, attachment }) => (attachment === null ? [] : [{ disk, ...attachment }]));
  page.counter(
    'nbd_requests_total',
    'Requests of NBD clients, since the disk was attached.',
    attached.flatMap(({ disk, requests }) =>
      Object.entries(requests.requests).map(([command, count]): Sample => [{ disk: disk.name, command }, count]),
    ),
  );
  page.counter(
    'nbd_bytes_total',
    'Bytes that NBD clients read and wrote, since the disk was attached.',
    attached.flatMap(({ disk, requests }): Sample[] => [
      [{ disk: disk.name, direction: 'read' }, requests.readBytes],
      [{ disk: disk.name, direction: 'write' }, requests.writtenBytes],
    ]),
  );
  page.counter(
    'nbd_errors_total',
    'Requests that NBD clients should not have made, and errors they were answered, since the disk was attached.',
    attached.flatMap(({ disk, requests }): Sample[] => [
      [{ disk: disk.name, kind: 'refused' }, requests.refused],
      [{ disk: disk.name, kind: 'failed' }, requests.failed],
    ]),
  );
}

function histogramOf(
  labels: HistogramSample['labels'],
  histogram: LatencyHistogram,
  exponents: readonly number[],
): HistogramSample {
  const counts = histogram.atMost(exponents);
  return {
    labels,
    buckets: exponents.map((exponent, index) => [2 ** exponent / 1e6, counts[index]!]),
    count: histogram.count,
    sum: histogram.sumUs / 1e6,
  };
}
