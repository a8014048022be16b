/**
 * What a command says: one document or one object per line on stdout with --json, plain text otherwise; the rest on stderr.
 *
 * A command ends with exactly one `result` or with one error. Nothing else may write to stdout.
 */
import type { DiskswarmError } from '@diskswarm/core';
import { errorBodyOf } from '../control/line-protocol.ts';
import type { Progress } from '../control/methods.ts';
import { type ProgressView, progressView } from './progress.ts';

/** A result that is an error too: programs get the fields of both in one document. */
export class FailedResult extends Error {
  readonly document: object;

  constructor(document: object, cause: DiskswarmError) {
    super(cause.message, { cause });
    this.document = document;
  }
}

export class Output {
  readonly json: boolean;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;

  constructor(json: boolean, stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream) {
    this.json = json;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY;
  }

  /** The result: `document` for programs, `text` for people. */
  result(document: object, text: string): void {
    this.#stdout.write(`${this.json ? JSON.stringify(document) : text}\n`);
  }

  /** One line for programs, whoever reads it. */
  object(document: object): void {
    this.#stdout.write(`${JSON.stringify(document)}\n`);
  }

  /** Text that replaces the screen, for a watch on a terminal. */
  screen(text: string): void {
    this.#stdout.write(`\x1b[H\x1b[2J${text}\n`);
  }

  /** A remark for people, on stderr. */
  note(text: string): void {
    if (!this.json) this.#stderr.write(`${text}\n`);
  }

  /** An error: a document on stdout for programs, a line on stderr for people. */
  error(error: unknown): void {
    const body = errorBodyOf(error instanceof FailedResult ? error.cause : error);
    const document = error instanceof FailedResult ? error.document : {};
    if (this.json) this.object({ ...document, error: body });
    else this.#stderr.write(`diskswarm: ${body.message} (${body.code})\n`);
  }

  /** Where progress goes: to people; with `events` to programs too, one object per line. */
  progress(what: string, options: { events: boolean } = { events: false }): ProgressView {
    if (!this.json) return progressView(what, this.#stderr);
    const update = (progress: Progress): void => {
      if (options.events) this.#stdout.write(`${JSON.stringify(progress)}\n`);
    };
    return { update, end: () => {} };
  }
}
