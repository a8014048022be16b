/**
 * `disk publish | retire | clone`: generations that others make clones of, and clones.
 *
 * Lists of templates, and the records of a clone, are signed here with the owner's key. The agent is asked first, so that nobody
 * types a passphrase for something that cannot work.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { Command } from 'commander';
import { ask } from '../context.ts';
import { newDiskRecords } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import { parseName, parseNameAtSequence } from '../parse.ts';
import type { Action } from '../program.ts';
import { publishedList, retiredList } from '../template-records.ts';
import { sizeText } from '../words.ts';

export function registerDiskTemplateCommands(disk: Command, action: Action): void {
  disk
    .command('publish')
    .argument('<name[@sequence]>', 'the newest sealed generation, unless one is named')
    .description(
      'make a generation a template: every host of the disk may clone it, and it is kept until it is retired',
    )
    .option('--public', 'everyone may have it from now on, for good: `disk torrent` then gives it away')
    .action(
      action<[string], { public?: true }>(async (context, [argument], { public: isPublic = false }) => {
        const { name, sequence } = parseNameAtSequence(argument);
        const view = await ask(context, 'disk.templateView', { name, sequence, complete: true });
        const { genesis } = await ask(context, 'disk.ownerView', { name });
        const { record, template } = publishedList(view, { genesis, isPublic }, await openOwner(context));
        await ask(context, 'disk.applyTemplates', { name, record });
        context.output.result(
          { name, ...template },
          `${name}@${template.sequence} is a template${template.public ? ' for everyone' : ''}`,
        );
      }),
    );

  disk
    .command('retire')
    .argument('<name[@sequence]>', 'a template; all of the disk, unless one is named')
    .description('make no more clones of a template; the clones there are go on')
    .action(
      action<[string]>(async (context, [argument]) => {
        const { name, sequence } = parseNameAtSequence(argument);
        const view = await ask(context, 'disk.templateView', { name, sequence: null, complete: false });
        const { genesis } = await ask(context, 'disk.ownerView', { name });
        const { record, sequences } = retiredList(view, genesis, { name, sequence }, () => openOwner(context));
        await ask(context, 'disk.applyTemplates', { name, record: await record });
        const text = sequences.map((each) => `${name}@${each}`).join(', ');
        context.output.result({ name, sequences }, `${text} makes no more clones; the ones there are go on`);
      }),
    );

  disk
    .command('clone')
    .argument('<template[@sequence]>', 'the newest template of a disk, unless one is named')
    .argument('<name>', 'what to call the clone here', parseName)
    .description('a disk of your own over a template: at once, nothing is copied')
    .action(
      action<[string, string]>(async (context, [argument, name]) => {
        const { name: template, sequence } = parseNameAtSequence(argument);
        const view = await ask(context, 'disk.cloneView', { name: template, sequence });
        const { disks } = await ask(context, 'disk.ls', {});
        if (disks.some((each) => each.name === name))
          throw new DiskswarmError('NAME_EXISTS', `this host has a disk named ${name}; choose another name`, {
            data: { name },
          });
        const { hostId } = await ask(context, 'host.id', {});
        const owner = await openOwner(context);
        const { genesis, rosterBundle, grant } = newDiskRecords(owner, hostId as HostId, view.chunkSizeBytes);
        const records = { genesis, rosterBundle, grant };
        const info = await ask(context, 'disk.clone', { template, sequence: view.sequence, name, records });
        context.output.result(
          info,
          `${info.name}: ${sizeText(info.sizeBytes)}, a clone of ${template}@${view.sequence}`,
        );
      }),
    );
}
