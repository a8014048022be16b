/**
 * Looks at a host's figures while something happens there and shows them: bytes by the host they came from, faults and how
 * long they took, how much of the disk is here.
 */
import { latencyText, sizeText } from '../cli/words.ts';
import type { DiskStatus } from '../control/methods.ts';
import type { DemoHost } from './host.ts';
import { bar, type Screen } from './screen.ts';

const GLANCE_EVERY_MS = 250;

/** What stands in the figures at one moment. */
export interface Figures {
  /** By the names of the demonstration's hosts. */
  readonly bytesFrom: Readonly<Record<string, number>>;
  readonly receivedBytes: number;
  /** Of these, the bytes that the guest waited for. */
  readonly faultBytes: number;
  readonly faults: number;
  readonly faultUs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  /** Of the disk: what the guest used so far, whether it had to wait or not. */
  readonly usedBytes: number;
  readonly presentBytes: number;
  readonly dataBytes: number;
  readonly sizeBytes: number;
}

/** Takes the figures of the demonstration's disk on `host`; `hosts` gives ids their names. */
export async function figuresOf(host: DemoHost, hosts: readonly DemoHost[]): Promise<Figures> {
  const status = await host.status();
  const names = new Map(hosts.map(({ hostId, name }) => [hostId, name]));
  const bytesFrom: Record<string, number> = {};
  for (const [id, bytes] of Object.entries(status.bytesBySource)) bytesFrom[names.get(id) ?? id.slice(0, 8)] = bytes;
  const { p50, p90, p99, max } = status.faults.latencyUs;
  return {
    bytesFrom,
    receivedBytes: status.faultBytes + status.backgroundBytes,
    faultBytes: status.faultBytes,
    faults: status.faults.count,
    faultUs: { p50, p90, p99, max },
    usedBytes: status.touchedPieces * status.chunkSizeBytes,
    presentBytes: status.piecesPresent * status.chunkSizeBytes,
    dataBytes: dataBytesOf(status),
    sizeBytes: status.sizeBytes,
  };
}

/** Shows `host`'s figures on the screen until `work` is done; gives back what it gives. */
export async function watching<T>(
  screen: Screen,
  host: DemoHost,
  hosts: readonly DemoHost[],
  work: Promise<T>,
): Promise<T> {
  let done = false;
  const ended = work.then(
    () => {},
    () => {},
  );
  void ended.then(() => {
    done = true;
  });
  while (!done) {
    try {
      const figures = await figuresOf(host, hosts);
      if (!done) screen.live({ lines: figureLines(figures), facts: { host: host.name, ...figures } });
    } catch {
      // The agent is busy starting or stopping: the next glance will do, and `work` has the error if there is one.
    }
    let wake: NodeJS.Timeout | undefined;
    await Promise.race([ended, new Promise((resolve) => (wake = setTimeout(resolve, GLANCE_EVERY_MS)))]);
    clearTimeout(wake);
  }
  return work;
}

function figureLines(figures: Figures): string[] {
  const { bytesFrom, usedBytes, presentBytes, dataBytes } = figures;
  const lines = Object.entries(bytesFrom)
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([name, bytes]) => `from ${name.padEnd(7)} ${bar(bytes / dataBytes)} ${sizeText(bytes)}`);
  lines.push(`here now     ${bar(presentBytes / dataBytes)} ${sizeText(presentBytes)} of ${sizeText(dataBytes)}`);
  if (usedBytes > 0) {
    lines.push(`used so far  ${bar(usedBytes / dataBytes)} ${sizeText(usedBytes)}`);
    lines.push(faultsText(figures));
  }
  return lines;
}

/** "84 faults (5.1M): half within 12 ms, 99 % within 61 ms". */
export function faultsText({
  faults,
  faultUs,
  faultBytes,
}: Pick<Figures, 'faults' | 'faultUs' | 'faultBytes'>): string {
  if (faults === 0) return 'no faults: the guest did not have to wait for any chunk';
  const { p50, p99 } = faultUs;
  const count = `${faults} fault${faults === 1 ? '' : 's'}`;
  return `${count} (${sizeText(faultBytes)}): half within ${latencyText(p50)}, 99 % within ${latencyText(p99)}`;
}

function dataBytesOf(status: DiskStatus): number {
  return (status.piecesTotal - status.piecesZero) * status.chunkSizeBytes;
}
