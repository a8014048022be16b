/** `disk ls | info | history | rm | attach | detach`: what disks there are here, and their exports. */
import path from 'node:path';
import type { Command } from 'commander';
import { ask } from '../context.ts';
import { diskFacts, diskTable, historyTable } from '../disk-words.ts';
import { parseName } from '../parse.ts';
import type { Action } from '../program.ts';

export function registerDiskCommands(disk: Command, action: Action): void {
  disk
    .command('ls')
    .description('the disks on this host')
    .action(
      action<[]>(async (context) => {
        const { disks } = await ask(context, 'disk.ls', {});
        context.output.result({ disks }, disks.length === 0 ? 'no disks' : diskTable(disks));
      }),
    );

  disk
    .command('info')
    .argument('<name>')
    .description('everything about one disk')
    .action(
      action<[string]>(async (context, [name]) => {
        const info = await ask(context, 'disk.info', { name: parseName(name) });
        context.output.result(info, diskFacts(info));
      }),
    );

  disk
    .command('history')
    .argument('<name>')
    .description('its generations, oldest first')
    .action(
      action<[string]>(async (context, [name]) => {
        const { generations } = await ask(context, 'disk.history', { name: parseName(name) });
        context.output.result({ generations }, historyTable(generations));
      }),
    );

  disk
    .command('rm')
    .argument('<name>')
    .option('--force', 'also when this host holds the only complete copy')
    .description('forget the disk on this host')
    .action(
      action<[string], { force?: boolean }>(async (context, [name], { force }) => {
        const result = await ask(context, 'disk.rm', { name: parseName(name), force: force === true });
        context.output.result(result, `${name} is forgotten on this host`);
      }),
    );

  disk
    .command('attach')
    .argument('<name>')
    .option('--read-only', 'refuse writes')
    .option('--socket <path>', 'where the export listens')
    .description('export the disk over NBD and print its URI')
    .action(
      action<[string], { readOnly?: boolean; socket?: string }>(async (context, [name], options) => {
        const socket = options.socket === undefined ? null : path.resolve(options.socket);
        const readOnly = options.readOnly === true;
        const attachment = await ask(context, 'disk.attach', { name: parseName(name), readOnly, socket });
        if (attachment.warning !== undefined) context.output.note(attachment.warning);
        context.output.result(attachment, attachment.uri);
      }),
    );

  disk
    .command('detach')
    .argument('<name>')
    .description('end the export')
    .action(
      action<[string]>(async (context, [name]) => {
        const result = await ask(context, 'disk.detach', { name: parseName(name) });
        context.output.result(result, `${name} is detached`);
      }),
    );
}
