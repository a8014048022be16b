/**
 * What the demonstration shows: steps with their time, live figures under the one that runs, closing words.
 *
 * Three ways of saying the same: a terminal that is redrawn in place, plain lines for pipes, one object per line for programs.
 * Knows how to draw and nothing of disks.
 */
import { durationText } from '../cli/words.ts';

/** Plain lines: the first figures of a step come this soon, each further ones after twice the time. */
const FIRST_FIGURES_MS = 2_000;
const GREEN = '\x1b[32m';
const DIM = '\x1b[2m';
const BOLD = '\x1b[1m';
const PLAIN = '\x1b[0m';

/** Figures of the running step: text for people, the same facts for programs. */
interface Live {
  readonly lines: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface Screen {
  /** A line between steps. */
  say(text: string): void;
  /** Opens a chapter. */
  title(text: string): void;
  /** A step begins; `phase` is its name for programs. Ends the one before. */
  begin(phase: string, text: string): void;
  /** Figures of the running step, as often as one likes. */
  live(live: Live): void;
  /** The running step is over; `text` says what came of it. */
  end(text: string, facts?: Readonly<Record<string, unknown>>): void;
  /** Ends drawing, whatever was under way. Idempotent. */
  close(): void;
}

/** The screen that suits `stream` and --json. */
export function openScreen(stream: NodeJS.WriteStream, json: boolean): Screen {
  if (json) return programScreen(stream);
  return stream.isTTY && process.env.TERM !== 'dumb' ? terminalScreen(stream) : plainScreen(stream);
}

function programScreen(stream: NodeJS.WriteStream): Screen {
  const put = (object: object): void => void stream.write(`${JSON.stringify(object)}\n`);
  let phase = '';
  let started = 0;
  return {
    say: () => {},
    title: (text) => put({ event: 'chapter', text }),
    begin: (name, text) => {
      phase = name;
      started = performance.now();
      put({ event: 'begin', phase, text });
    },
    live: ({ facts }) => put({ event: 'live', phase, ...facts }),
    end: (text, facts = {}) =>
      put({ event: 'end', phase, text, durationMs: Math.round(performance.now() - started), ...facts }),
    close: () => {},
  };
}

function plainScreen(stream: NodeJS.WriteStream): Screen {
  const put = (text: string): void => void stream.write(`${text}\n`);
  let started = 0;
  let next = 0;
  return {
    say: put,
    title: (text) => put(`\n${text}`),
    begin: (_phase, text) => {
      started = performance.now();
      next = FIRST_FIGURES_MS;
      put(`  ..  ${text}`);
    },
    live: ({ lines }) => {
      if (performance.now() - started < next) return;
      next *= 2;
      for (const line of lines) put(`        ${line}`);
    },
    end: (text) => put(`  ok  ${text}  (${timeText(performance.now() - started)})`),
    close: () => {},
  };
}

function terminalScreen(stream: NodeJS.WriteStream): Screen {
  let drawn = 0;
  let running: { text: string; started: number; lines: readonly string[] } | null = null;
  const wipe = (): string => (drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '');
  const draw = (): void => {
    if (running === null) return;
    const { text, started, lines } = running;
    const width = (stream.columns || 100) - 6;
    const head = `${text}  ${timeText(performance.now() - started)}`.slice(0, width);
    const all = [` ▸ ${BOLD}${head}${PLAIN}`, ...lines.map((line) => `     ${line.slice(0, width)}`)];
    stream.write(`${wipe()}${all.join('\n')}\n`);
    drawn = all.length;
  };
  const put = (text: string): void => {
    stream.write(`${wipe()}${text}\n`);
    drawn = 0;
    draw();
  };
  const timer = setInterval(draw, 250);
  stream.write('\x1b[?25l');
  return {
    say: put,
    title: (text) => put(`\n${BOLD}${text}${PLAIN}`),
    begin: (_phase, text) => {
      running = { text, started: performance.now(), lines: [] };
      draw();
    },
    live: ({ lines }) => {
      if (running !== null) running.lines = lines;
      draw();
    },
    end: (text) => {
      const took = running === null ? '' : timeText(performance.now() - running.started);
      running = null;
      put(` ${GREEN}✓${PLAIN} ${text} ${DIM}${took}${PLAIN}`);
    },
    close: () => {
      clearInterval(timer);
      running = null;
      stream.write('\x1b[?25h');
    },
  };
}

/** 850 → "0.9 s". */
export function timeText(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : durationText(ms / 1000);
}

/** A bar of `width` cells, `part` of it (0 to 1) filled. */
export function bar(part: number, width = 24): string {
  const cells = Math.round(Math.min(1, Math.max(0, part)) * width);
  return '█'.repeat(cells) + '░'.repeat(width - cells);
}
