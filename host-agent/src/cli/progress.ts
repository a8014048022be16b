/**
 * Progress for people, on stderr: a bar on a terminal, a line every ten per cent or ten seconds elsewhere.
 *
 * The single place that imports `cli-progress`. What is counted and how fast comes from the agent.
 */
/// <reference path="./cli-progress.d.ts" />
import { SingleBar } from 'cli-progress';
import type { Progress } from '../control/methods.ts';
import { durationText, rateText, sizeText } from './words.ts';

export interface ProgressView {
  update(progress: Progress): void;
  /** Removes the bar. Idempotent. */
  end(): void;
}

const LINE_EVERY_MS = 10_000;

/** A view named by `what` ("import debian"). */
export function progressView(what: string, stream: NodeJS.WriteStream): ProgressView {
  return stream.isTTY ? barView(what, stream) : lineView(what, stream);
}

function payloadOf(progress: Progress): Record<string, string> {
  const { doneBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  return {
    done: sizeText(doneBytes),
    all: sizeText(totalBytes),
    rate: rateText(bytesPerSecond),
    left: secondsLeft === null ? '' : `${durationText(secondsLeft)} left`,
  };
}

function barView(what: string, stream: NodeJS.WriteStream): ProgressView {
  const format = `${what} [{bar}] {percentage}% {done} of {all}, {rate} {left}`;
  const bar = new SingleBar({ format, stream, hideCursor: true, clearOnComplete: true, barsize: 24 });
  let started = false;
  return {
    update(progress) {
      if (!started) bar.start(progress.totalBytes, progress.doneBytes, payloadOf(progress));
      started = true;
      bar.setTotal(progress.totalBytes);
      bar.update(progress.doneBytes, payloadOf(progress));
    },
    end() {
      if (started) bar.stop();
      started = false;
    },
  };
}

function lineView(what: string, stream: NodeJS.WriteStream): ProgressView {
  let lastTenth = 0;
  let lastMs = performance.now();
  return {
    update(progress) {
      const tenth = progress.totalBytes === 0 ? 0 : Math.floor((progress.doneBytes * 10) / progress.totalBytes);
      const nowMs = performance.now();
      if (tenth === lastTenth && nowMs - lastMs < LINE_EVERY_MS) return;
      lastTenth = tenth;
      lastMs = nowMs;
      const { done, all, rate, left } = payloadOf(progress);
      stream.write(`${what}: ${done} of ${all}, ${rate}${left === '' ? '' : `, ${left}`}\n`);
    },
    end() {},
  };
}
