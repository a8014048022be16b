/**
 * The file that names the arguments of a QEMU somebody else started: one argument a line, as the program got them. Pure.
 *
 * `tr '\0' '\n' < /proc/PID/cmdline` makes such a file; the program's own name in the first line is skipped. Nothing is quoted and nothing unquoted.
 * What looks like an option and its value in one line is refused rather than guessed.
 */
import { DiskswarmError } from '@diskswarm/core';
import { MAX_VM_ARGUMENT_BYTES, MAX_VM_ARGUMENTS } from './definition.ts';

/** Longer files are not read. */
export const MAX_ARGUMENT_FILE_BYTES = 48 * 1024;

/** The arguments in `text`. INVALID_ARGUMENT names the line; LIMIT_EXCEEDED. */
export function parseArgumentFile(text: string): string[] {
  if (Buffer.byteLength(text) > MAX_ARGUMENT_FILE_BYTES)
    throw tooLarge(`it is longer than ${MAX_ARGUMENT_FILE_BYTES} bytes`);
  const lines = text.split(/\r?\n/);
  while (lines.at(-1) === '') lines.pop();
  const named = lines[0] !== undefined && !lines[0].startsWith('-');
  const args = named ? lines.slice(1) : lines;
  if (args.length === 0) throw invalid('it names no arguments', 1);
  if (args.length > MAX_VM_ARGUMENTS) throw tooLarge(`it names more than ${MAX_VM_ARGUMENTS} arguments`);
  for (const [index, argument] of args.entries()) {
    const line = index + (named ? 2 : 1);
    if (argument === '') throw invalid('an empty line', line);
    if (argument.includes('\0')) throw invalid('a zero byte: one argument a line is wanted', line);
    if (/^--?[A-Za-z][A-Za-z0-9-]*\s/.test(argument))
      throw invalid('an option and its value belong on two lines', line);
    if (Buffer.byteLength(argument) > MAX_VM_ARGUMENT_BYTES)
      throw tooLarge(`line ${line} is longer than ${MAX_VM_ARGUMENT_BYTES} bytes`);
  }
  return args;
}

function invalid(why: string, line: number): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', `the file of QEMU arguments, line ${line}: ${why}`, {
    data: { field: 'qemu-args', line },
  });
}

function tooLarge(why: string): DiskswarmError {
  return new DiskswarmError('LIMIT_EXCEEDED', `the file of QEMU arguments is too large: ${why}`, {
    data: { field: 'qemu-args' },
  });
}
