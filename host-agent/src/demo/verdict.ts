/**
 * Judges a run: the checks that all must hold, and the comparison with copying first. Pure.
 */
import { latencyText, rateText, sizeText, table } from '../cli/words.ts';
import { LINE_BYTES_PER_SECOND } from './link.ts';
import type { LiveMove } from './live-move.ts';
import { timeText } from './screen.ts';
import type { Login, Outcome } from './story.ts';

/** One thing that must hold. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** In words. */
  readonly text: string;
}

/** Everything that a run must have shown. */
export function checksOf(outcome: Outcome): Check[] {
  const { copyFirst, onDemand, filesWritten, bytesFrom } = outcome;
  const both = (bytes: Readonly<Record<string, number>>): boolean => (bytes.home ?? 0) > 0 && (bytes.office ?? 0) > 0;
  return [
    {
      name: 'files-intact',
      ok: outcome.filesChecked === filesWritten,
      text: `the guest at hotel found all ${filesWritten} files written at home and office intact`,
    },
    {
      name: 'two-sources',
      ok: both(onDemand.figures.bytesFrom) && both(bytesFrom),
      text: 'chunks came from home, which has an older generation, and from office',
    },
    {
      name: 'fewer-bytes',
      ok: onDemand.receivedBytes < copyFirst.receivedBytes,
      text: 'the guest was up before the disk was there',
    },
    {
      name: 'sooner',
      ok: onDemand.durationMs < copyFirst.durationMs,
      text: 'it was up sooner than after copying the disk',
    },
    { name: 'complete', ok: outcome.hotelComplete, text: 'hotel got all of the disk while the guest ran' },
    {
      name: 'safe',
      ok: outcome.homeSafe && outcome.officeSafe,
      text: 'home and office knew that they may be switched off',
    },
    {
      name: 'alone',
      ok: outcome.filesCheckedAlone === filesWritten,
      text: 'with the others stopped, the guest rebooted and found every file again',
    },
    ...(outcome.live === null ? [] : liveChecksOf(outcome.live, filesWritten)),
  ];
}

function liveChecksOf(live: LiveMove, filesWritten: number): Check[] {
  return [
    {
      name: 'live-moved',
      ok: live.isAtOffice,
      text: 'the machine moved back while it ran: it runs at office, which owns its disk',
    },
    {
      name: 'live-ticks',
      ok: live.missedTicks === 0,
      text: 'the guest went on with the very next tick: none was lost, none came twice',
    },
    {
      name: 'live-gap',
      ok: live.silenceMs > 0 && live.silenceMs < live.durationMs / 2 && live.stopToRunningMs < live.durationMs / 2,
      text: 'it was heard for most of the move: its silence was the smaller part',
    },
    {
      name: 'live-writes',
      ok: live.writesBefore > 0 && live.writesTold > live.writesBefore,
      text: 'it wrote before the move and after it',
    },
    {
      name: 'live-durable',
      ok: live.writesFound >= live.writesTold && live.writesIntact,
      text: 'every write that the guest was told is durable is at office, byte for byte',
    },
    {
      name: 'live-files',
      ok: live.filesChecked === filesWritten,
      text: 'with hotel stopped, the guest found every file at office',
    },
  ];
}

/** The live move in figures. */
export function liveText(live: LiveMove): string {
  const { memoryBytes, diskBytes, writesBefore, writesTold } = live;
  const rows = [
    ['the move took', timeText(live.durationMs)],
    ['moved', `${sizeText(memoryBytes)} of memory, ${sizeText(diskBytes)} of the disk`],
    ['longest silence of the guest, which ticks every 10 ms', latencyText(live.silenceMs * 1000)],
    ['  the same before the move', latencyText(live.silenceBeforeMs * 1000)],
    ["from QEMU's STOP until it ran at office", latencyText(live.stopToRunningMs * 1000)],
    ['writes that the guest was told are durable', `${writesTold}, ${writesTold - writesBefore} of them at office`],
    ['  of these found at office', String(Math.min(live.writesFound, writesTold))],
  ];
  return table(['live from hotel to office', ''], rows);
}

/** Copying and fetching on demand side by side. */
export function comparisonText({ copyFirst, onDemand }: Outcome): string {
  const row = (name: string, { receivedBytes, durationMs }: Login): string[] => [
    name,
    sizeText(receivedBytes),
    timeText(durationMs),
  ];
  const rows = [row('copy the disk, then boot', copyFirst), row('diskswarm: boot, the disk follows', onDemand)];
  const times = (copyFirst.durationMs / onDemand.durationMs).toFixed(1);
  return `${table([`over a line of ${rateText(LINE_BYTES_PER_SECOND)}`, 'MOVED BEFORE LOGIN', 'TIME TO LOGIN'], rows)}\n${times} times sooner`;
}
