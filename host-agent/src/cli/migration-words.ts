/**
 * A migration in plain words: what it would take, how far it is, and what its record says.
 *
 * A record may have been written by an earlier version: what is not there is left out. Programs use --json.
 */
import type { MigrationEstimate, MigrationStatus } from '../control/methods.ts';
import { countText, durationText, facts, latencyText, rateText, sizeText } from './words.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What `--plan` says. */
export function planText(plan: MigrationEstimate): string {
  const { total, disk, rewritten, memory } = plan.bytesToSend;
  const kinds = [`${sizeText(disk)} of its disks`, `${sizeText(memory)} of memory`];
  if (rewritten > 0) kinds.push(`${sizeText(rewritten)} written meanwhile`);
  const unknown = 'unknown';
  const lines: (readonly [string, string])[] = [['to send', `${sizeText(total)}: ${kinds.join(', ')}`]];
  if (plan.diskBytesElsewhere > 0)
    lines.push([
      'from others',
      `${sizeText(plan.diskBytesElsewhere)} of its disks are on other hosts that are connected`,
    ]);
  lines.push(
    ['link', plan.linkBytesPerSecond === null ? unknown : rateText(plan.linkBytesPerSecond)],
    ['time', plan.expectedMs === null ? unknown : `about ${durationText(plan.expectedMs / 1000)}`],
    ['pause', plan.expectedPauseMs === null ? unknown : `about ${millisecondsText(plan.expectedPauseMs)}`],
    ['stalls', stallsText(plan.expectedStalls)],
    ['converges', `${plan.converges === null ? unknown : plan.converges ? 'yes' : 'no'}: ${plan.reason}`],
    ...plan.warnings.map((warning) => ['warning', warning] as const),
  );
  return `${plan.name} to host ${plan.to.slice(0, 8)}, nothing is moved yet\n${facts(lines)}`;
}

/** One line for who waits. */
export function progressLine({ phaseText, round, missingBytes, memoryBytes }: MigrationStatus): string {
  const parts = [phaseText];
  if (round > 0) parts.push(`round ${round}`);
  if (missingBytes !== null && missingBytes > 0) parts.push(`${sizeText(missingBytes)} of the disks to go`);
  if (memoryBytes > 0) parts.push(`${sizeText(memoryBytes)} of memory sent`);
  return parts.join(', ');
}

/** The live screen. */
export function screenText(status: MigrationStatus): string {
  const { name, to, phaseText, elapsedMs, round, missingBytes, memoryBytes, diskBytes, memory, link } = status;
  const lines: (readonly [string, string])[] = [
    ['phase', `${phaseText}; ${durationText(elapsedMs / 1000)} so far`],
    [
      'disks',
      [
        `${sizeText(diskBytes)} sent`,
        ...(round > 0 ? [`round ${round}`] : []),
        ...(missingBytes === null || missingBytes === 0 ? [] : [`${sizeText(missingBytes)} to go`]),
      ].join(', '),
    ],
  ];
  if (memory !== null) {
    const { remainingBytes, totalBytes, dirtyBytesPerSecond, passes, throttlePercent, pagesAsked } = memory;
    const asked = pagesAsked > 0 ? `, ${countText(pagesAsked, 'page')} asked for there` : '';
    const slowed = throttlePercent > 0 ? `, its processors slowed by ${throttlePercent} %` : '';
    lines.push([
      'memory',
      `${sizeText(memoryBytes)} sent, ${sizeText(remainingBytes)} of ${sizeText(totalBytes)} to go in pass ${passes}, ` +
        `changes at ${rateText(dirtyBytesPerSecond)}${slowed}${asked}`,
    ]);
  } else if (memoryBytes > 0) lines.push(['memory', `${sizeText(memoryBytes)} sent`]);
  const { faultBytesPerSecond, backgroundBytesPerSecond } = link;
  lines.push([
    'link',
    [
      ...(faultBytesPerSecond === null ? [] : [`waited for ${rateText(faultBytesPerSecond)}`]),
      `memory ${rateText(link.memoryBytesPerSecond)}`,
      ...(backgroundBytesPerSecond === null ? [] : [`ahead ${rateText(backgroundBytesPerSecond)}`]),
    ].join(', '),
  ]);
  if (status.sources !== null && status.sources.length > 0) lines.push(['sources there', sourcesText(status.sources)]);
  if (status.faults !== null) lines.push(['waits there', faultsText(status.faults)]);
  const throttle = throttleText(fieldsOf(status.record.throttle));
  if (throttle !== '') lines.push(['writes', throttle]);
  const plan = fieldsOf(status.record.plan);
  const expectedMs = numberOf(plan, 'expectedMs');
  if (expectedMs !== null) {
    const pauseMs = numberOf(plan, 'expectedPauseMs');
    const pause = pauseMs === null ? '' : `, with a pause of ${millisecondsText(pauseMs)}`;
    lines.push(['expected', `${durationText(expectedMs / 1000)}, ${sizeText(totalOf(plan) ?? 0)} to send${pause}`]);
  }
  return `${name} to host ${to.slice(0, 8)}\n${facts(lines)}`;
}

/** A record, indented as `vm info` shows it. */
export function recordText(record: Fields): string {
  const lines: (readonly [string, string])[] = [];
  const plan = fieldsOf(record.plan);
  const expected = (key: string): string => {
    const ms = numberOf(plan, key);
    return ms === null ? '' : `; expected ${millisecondsText(ms)}`;
  };
  const add = (name: string, text: string | null): void => {
    if (text !== null && text !== '') lines.push([name, text]);
  };
  const ms = (key: string): string | null => {
    const value = numberOf(record, key);
    return value === null ? null : millisecondsText(value);
  };
  const { to, startedAt, result, message } = record;
  add('started', typeof startedAt === 'string' ? startedAt : null);
  add('to', typeof to === 'string' ? to.slice(0, 8) : null);
  add('result', [result, message].filter((text) => typeof text === 'string').join(': '));
  const took = ms('migrationMs');
  add('took', took === null ? null : `${took}${expected('expectedMs')}`);
  const down = ms('downtimeMs');
  const added = ms('additionalDisruptionMs');
  const ofDisks = added === null ? '' : `, ${added} of it for the disks`;
  add('pause', down === null ? null : `${down}${ofDisks}${expected('expectedPauseMs')}`);
  add('disruption', ms('disruptionMs'));
  add('drained in', ms('drainMs'));
  const [disk, memory] = [numberOf(record, 'diskBytes'), numberOf(record, 'memoryBytes')];
  if (disk !== null && memory !== null) {
    const total = totalOf(plan);
    const expectedBytes = total === null ? '' : `; expected ${sizeText(total)}`;
    add(
      'sent',
      `${sizeText(disk + memory)}: ${sizeText(disk)} of the disks, ${sizeText(memory)} of memory${expectedBytes}`,
    );
  }
  const rounds = numberOf(record, 'roundsTotal');
  const passes = numberOf(record, 'memoryPasses');
  if (rounds !== null)
    add(
      'rounds',
      `${rounds} of the disks${passes === null ? '' : `, ${countText(passes, 'pass').replace(/passs$/, 'passes')} over the memory`}`,
    );
  const asked = numberOf(record, 'memoryPagesAsked');
  add('memory there', asked === null || asked === 0 ? null : `the guest asked for ${countText(asked, 'page')}`);
  const slowed = numberOf(record, 'mostThrottledPercent');
  add('processors', slowed === null || slowed === 0 ? null : `slowed by up to ${slowed} %`);
  add('writes', throttleText(fieldsOf(record.throttle)));
  for (const [name, key] of [
    ['deltas', 'deltas'],
    ['compressed', 'compression'],
  ] as const) {
    const counted = fieldsOf(record[key]);
    const [count, bytes, saved] = ['count', 'bytes', 'savedBytes'].map((field) => numberOf(counted, field));
    if (count && typeof bytes === 'number')
      add(name, `${countText(count, 'chunk')} in ${sizeText(bytes)}, ${sizeText(saved ?? 0)} saved`);
  }
  if (Array.isArray(record.bytesBySource) && record.bytesBySource.length > 0)
    add('sources there', sourcesText(record.bytesBySource as NonNullable<MigrationStatus['sources']>));
  if (record.faults) add('waits there', faultsText(record.faults as NonNullable<MigrationStatus['faults']>));
  if (Array.isArray(record.warnings)) for (const warning of record.warnings) add('warning', String(warning));
  add('free', typeof record.freeAt === 'string' ? `${record.freeAt}: nothing depended on this host any more` : null);
  return facts(lines);
}

function sourcesText(sources: NonNullable<MigrationStatus['sources']>): string {
  return sources
    .map(
      ({ host, faultBytes, backgroundBytes }) => `${sizeText(faultBytes + backgroundBytes)} from ${host.slice(0, 8)}`,
    )
    .join(', ');
}

function faultsText({ count, p50, p99, max }: NonNullable<MigrationStatus['faults']>): string {
  if (count === 0) return 'no read of the guest had to wait for another host';
  return `${countText(count, 'read')}: ${latencyText(p50)} typically, ${latencyText(p99)} at the 99th percentile, ${latencyText(max)} at most`;
}

function stallsText(stalls: number | null): string {
  if (stalls === null) return 'unknown';
  return stalls === 0
    ? 'none'
    : `at most about ${countText(stalls, 'read')} that waits for a chunk`.replace(
        'reads that waits',
        'reads that wait',
      );
}

function throttleText(throttle: Fields): string {
  const delayUs = numberOf(throttle, 'delayUs') ?? 0;
  const mostUs = numberOf(throttle, 'maxDelayUs') ?? 0;
  if (mostUs === 0 && delayUs === 0) return '';
  const now = delayUs > 0 ? `each delayed by ${latencyText(delayUs)} now, ` : '';
  return `${now}delayed by up to ${latencyText(mostUs)}`;
}

function millisecondsText(ms: number): string {
  return ms < 10_000 ? latencyText(ms * 1000) : durationText(ms / 1000);
}

function totalOf(plan: Fields): number | null {
  return numberOf(fieldsOf(plan.bytesToSend), 'total');
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function numberOf(fields: Fields, key: string): number | null {
  const value = fields[key];
  return typeof value === 'number' ? value : null;
}
