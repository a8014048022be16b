/** `disk pull | wait | export`: getting all of a disk here, waiting for it, and writing it out as an image. */
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import type { Command } from 'commander';
import { ask, askWithProgress } from '../context.ts';
import { presenceText, safetyText } from '../disk-words.ts';
import { parseCount, parseName, parseNameAtSequence, parseSeconds } from '../parse.ts';
import type { Action } from '../program.ts';
import { sizeText } from '../words.ts';

interface WaitOptions {
  readonly sequence?: number;
  readonly complete?: boolean;
  readonly safe?: boolean;
  readonly timeout?: number;
}

export function registerDiskDataCommands(disk: Command, action: Action): void {
  disk
    .command('pull')
    .argument('<name>')
    .description('fetch everything that is missing')
    .action(
      action<[string]>(async (context, [name]) => {
        const params = { name: parseName(name) };
        const info = await askWithProgress(context, 'disk.pull', params, `pull ${name}`, { events: true });
        context.output.result(
          { event: 'result', ...info },
          `${name}: generation ${info.sequence} is ${presenceText(info)}`,
        );
      }),
    );

  disk
    .command('wait')
    .argument('<name>')
    .option('--sequence <n>', 'until generation n or a newer one is known here', (text) => parseCount('sequence', text))
    .option('--complete', 'until all of the newest generation is here')
    .option('--safe', 'until this host may be switched off')
    .option('--timeout <seconds>', 'give up after this long', (text) => parseSeconds('timeout', text))
    .description('wait for one of three things')
    .action(
      action<[string], WaitOptions>(async (context, [name], { sequence, complete, safe, timeout }) => {
        const chosen = [sequence, complete, safe].filter((each) => each !== undefined);
        if (chosen.length !== 1) {
          throw new DiskswarmError('INVALID_ARGUMENT', 'disk wait takes one of --sequence, --complete and --safe', {
            data: { field: 'wait' },
          });
        }
        const what = sequence === undefined ? (complete === true ? { complete: true } : { safe: true }) : { sequence };
        const info = await ask(context, 'disk.wait', {
          name: parseName(name),
          ...what,
          timeoutSeconds: timeout ?? null,
        });
        context.output.result(info, `${name}: generation ${info.sequence}, ${presenceText(info)}; ${safetyText(info)}`);
      }),
    );

  disk
    .command('export')
    .argument('<name[@sequence]>', 'the newest sealed generation, unless one is named')
    .argument('<file>', 'ends in .raw or .qcow2; replaced when it exists')
    .description('write a generation out as an image')
    .action(
      action<[string, string]>(async (context, [argument, file]) => {
        const { name, sequence } = parseNameAtSequence(argument);
        const params = { name, sequence, path: path.resolve(file), format: formatOf(file) };
        const written = await askWithProgress(context, 'disk.export', params, `export ${name}`);
        context.output.result(
          written,
          `${written.path}: generation ${written.sequence}, ${sizeText(written.sizeBytes)}`,
        );
      }),
    );
}

function formatOf(file: string): 'raw' | 'qcow2' {
  if (file.endsWith('.raw')) return 'raw';
  if (file.endsWith('.qcow2')) return 'qcow2';
  throw new DiskswarmError('INVALID_ARGUMENT', 'the file to export to ends in .raw or .qcow2', {
    data: { field: 'file' },
  });
}
