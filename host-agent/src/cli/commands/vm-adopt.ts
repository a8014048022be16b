/**
 * `vm adopt`: makes a QEMU that already runs on exports of this agent a machine like those that the agent started.
 *
 * Reads the file of arguments; what they mean, and whether this QEMU can move, the agent finds out.
 */
import fs from 'node:fs';
import path from 'node:path';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import type { Command } from 'commander';
import type { VmInfo } from '../../control/methods.ts';
import { MAX_ARGUMENT_FILE_BYTES, parseArgumentFile } from '../../vm/argument-file.ts';
import { notHarmless, wordsOf } from '../../vm/foreign-arguments.ts';
import { ask } from '../context.ts';
import { parseName } from '../parse.ts';
import type { Action } from '../program.ts';

interface AdoptOptions {
  readonly qmp: string;
  readonly qemuArgs: string;
}

export function registerVmAdoptCommand(vm: Command, action: Action): void {
  vm.command('adopt')
    .argument('<name>')
    .requiredOption('--qmp <socket>', 'a QMP monitor of it that nobody else is connected to')
    .requiredOption('--qemu-args <file>', 'what it was started with, one argument a line')
    .description('take over a QEMU that already runs on attached disks of this host')
    .action(
      action<[string], AdoptOptions>(async (context, [name], { qmp, qemuArgs }) => {
        const adopted = await ask(context, 'vm.adopt', {
          name: parseName(name),
          qmpSocket: path.resolve(qmp),
          args: parseArgumentFile(readBounded(qemuArgs)),
        });
        context.output.result(adopted, textOf(adopted));
      }),
    );
}

/** At most one byte more than what is taken. */
function readBounded(file: string): string {
  let descriptor: number | null = null;
  try {
    descriptor = fs.openSync(file, 'r');
    const buffer = new Uint8Array(MAX_ARGUMENT_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = fs.readSync(descriptor, buffer, length, buffer.length - length, null);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    throw new DiskswarmError('INVALID_ARGUMENT', `the file of QEMU arguments cannot be read: ${messageOf(error)}`, {
      data: { field: 'qemu-args' },
      cause: error,
    });
  } finally {
    if (descriptor !== null) fs.closeSync(descriptor);
  }
}

function textOf({ name, pid, args }: VmInfo): string {
  const foreign = wordsOf(notHarmless(args));
  const process = pid === null ? '' : `, as process ${pid}`;
  return [
    `${name} runs${process}; \`diskswarm vm migrate ${name}\` moves it`,
    ...(foreign.length === 0
      ? []
      : [
          `a host that it is to move to has to allow its arguments: diskswarm vm allow -- ${foreign.map(quoted).join(' ')}`,
        ]),
  ].join('\n');
}

/** For a shell. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
