/**
 * One running machine that moves over one line, measured from the outside in the same way whoever moves it.
 *
 * The guest, its machine, its disk and the line are the same for all. The line's own counter gives the bytes, this process
 * hears the guest's ticks and steps, and after the move the guest reads back what it wrote before.
 */
import type { GuestArtefacts } from '@diskswarm/guest';
import type { Line } from '../link/link.ts';
import { pause, run } from '../programs.ts';
import { check } from '../row.ts';
import { GuestLine } from './guest-line.ts';

const MEMORY_MIB = 128;
const REGION_MIB = 32;
/** How long a guest at work is watched before the move. */
const BEFORE_MS = 6000;
const MOVE_LIMIT_MS = 300_000;
/** What a guest that works on its disk writes when the move begins. */
const DURING_BYTES = 65_536;
/** What the guest says after the move. */
const AFTER_MS = 500;

/** What one move was like. */
export interface Move {
  /** From the command until nothing depends on the source, or the limit. */
  readonly totalMs: number;
  readonly wireBytes: number;
  readonly stopToResumeMs: number;
  /** Longest silence of the guest's ticker between command and end. */
  readonly gapMs: number;
  /** The guest's write rate during the move over that before it; null when it does not write. */
  readonly writeShare: number | null;
  /** How long the disk as it was at the command took to be there; null for those who do not tell. */
  readonly firstRoundMs: number | null;
  /** False when it did not end within the limit. */
  readonly ended: boolean;
  /** When the command was given and when the move ended, on this process's clock. */
  readonly startMs: number;
  readonly endMs: number;
}

/** Something that happens in a run, `atMs` on this process's clock. */
export type RecordEvent = (event: string, atMs: number, data?: Readonly<Record<string, unknown>>) => void;

/** What the guest does while it moves. */
interface GuestWork {
  /** Whether it works on the disk; then the guest writes a file during the move too, which it has to find afterwards. */
  readonly onDisk: boolean;
  /** Begins it; the guest is up. */
  begin(guest: GuestLine): Promise<void>;
  /** Ends what runs outside the guest. Idempotent. */
  end(): Promise<void>;
}

export interface MoveOptions {
  readonly folder: string;
  readonly line: Line;
  readonly artefacts: GuestArtefacts;
  /** KiB per second that the guest rewrites; 0 for an idle guest. */
  readonly writesKib: number;
  /** Instead of rewriting. */
  readonly work?: GuestWork;
  /** @default 128 */
  readonly memoryMib?: number;
  /** @default 300000 */
  readonly limitMs?: number;
  /** How long the guest at work is watched before the move. @default 6000 */
  readonly beforeMs?: number;
  /** More arguments of QEMU. */
  readonly args?: readonly string[];
  readonly record?: RecordEvent;
  /** Given a raw file with the disk as it is at the end that was reached, after a move that ended and when no guest runs. */
  readonly arrived?: (disk: string) => Promise<void>;
  readonly log: (message: string) => void;
}

export interface Moved {
  readonly stopToResumeMs: number;
  /** From the first seal until the disk's first round was there. */
  readonly firstRoundMs?: number;
}

/** The guest's memory, MiB. */
export function memoryOf({ memoryMib = MEMORY_MIB }: MoveOptions): number {
  return memoryMib;
}

/** Null when it takes longer than a move may. */
export function within<Value>(
  wanted: Promise<Value>,
  { limitMs = MOVE_LIMIT_MS }: { readonly limitMs?: number | undefined },
): Promise<Value | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), limitMs);
    wanted.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Boots nothing and moves nothing by itself: `from` and `to` are the guest's line at both ends, `move` does the moving; null when it did not end in time. */
export async function measure(
  options: MoveOptions,
  from: string,
  to: string,
  move: () => Promise<Moved | null>,
): Promise<Move> {
  const { line, writesKib, work = null, limitMs = MOVE_LIMIT_MS, log } = options;
  const { beforeMs = BEFORE_MS, record = () => {} } = options;
  const guest = new GuestLine((beat, atMs) => record(beat, atMs));
  try {
    await guest.attach(from);
    await guest.ready;
    await guest.say('write', 'before', 1_000_000, 7);
    await guest.say('tick');
    if (writesKib > 0) await guest.say('rewrite', REGION_MIB, writesKib);
    await work?.begin(guest);
    record('before', performance.now());
    await pause(beforeMs);
    const before = rateOf(guest.writes, performance.now() - beforeMs, performance.now());
    const bytes = await bytesOn(line);
    const startMs = performance.now();
    record('move', startMs);
    // Before the other end listens: what is said from then on is heard there, when the guest has come.
    const wroteDuring = work?.onDisk === true ? guest.tell('write', 'during', DURING_BYTES, 9) : () => false;
    const arriving = guest.attach(to);
    const moved = await within(move(), options);
    const endMs = performance.now();
    record('end', endMs, { ended: moved !== null });
    const wireBytes = (await bytesOn(line)) - bytes;
    const ended = moved !== null;
    if (ended) {
      await arriving;
      await pause(AFTER_MS);
      await work?.end();
      await guest.say('rest');
      const files = Number((await guest.say('checkall')).at(-1));
      check(
        files >= (wroteDuring() ? 2 : 1),
        `the guest finds ${files} of the files that it wrote before and during the move`,
      );
      record('checked', performance.now(), { files });
    }
    const result: Move = {
      totalMs: ended ? endMs - startMs : limitMs,
      wireBytes,
      stopToResumeMs: moved?.stopToResumeMs ?? Number.NaN,
      firstRoundMs: moved?.firstRoundMs ?? null,
      gapMs: longestSilence(guest.ticks, startMs, endMs),
      writeShare: writesKib > 0 ? rateOf(guest.writes, startMs, endMs) / before : null,
      ended,
      startMs,
      endMs,
    };
    const downtime = moved === null ? 'not over' : `STOP to RESUME ${Math.round(moved.stopToResumeMs)} ms`;
    log(
      `${(result.totalMs / 1000).toFixed(1)} s, ${Math.round(wireBytes / 1e6)} MB, ${downtime}, gap ${Math.round(result.gapMs)} ms, writes ${result.writeShare?.toFixed(2) ?? '-'}`,
    );
    return result;
  } finally {
    await work?.end();
    guest.close();
  }
}

/** Everything that the near end of the line received and sent. */
export async function bytesOn({ near }: Line): Promise<number> {
  const folder = '/sys/class/net/line/statistics';
  const { stdout } = await run([...near.prefix, 'cat', `${folder}/rx_bytes`, `${folder}/tx_bytes`]);
  return stdout
    .trim()
    .split('\n')
    .reduce((sum, count) => sum + Number(count), 0);
}

/** Per second. */
function rateOf(times: readonly number[], fromMs: number, untilMs: number): number {
  return times.filter((at) => at >= fromMs && at < untilMs).length / ((untilMs - fromMs) / 1000);
}

function longestSilence(times: readonly number[], fromMs: number, untilMs: number): number {
  const inside = times.filter((at) => at >= fromMs - 1000 && at <= untilMs + 1000);
  return inside.reduce((longest, at, index) => (index === 0 ? 0 : Math.max(longest, at - inside[index - 1]!)), 0);
}
