/**
 * Judges a run: the checks that all must hold, and the comparison with copying first. Pure.
 */
import { rateText, sizeText, table } from '../cli/words.ts';
import { LINE_BYTES_PER_SECOND } from './link.ts';
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
  ];
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
