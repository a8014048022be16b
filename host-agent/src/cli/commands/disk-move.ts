/**
 * `disk seal | handover | take`: freezing what was written, and moving the right to write between hosts.
 *
 * Who owns a disk is decided by the agents and their signed records; a forced take-over alone is signed here, by the owner.
 */
import type { HostId } from '@diskswarm/core';
import type { Command } from 'commander';
import { ask, askWithProgress, type CommandContext } from '../context.ts';
import { forceTake } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import { parseHost, parseName } from '../parse.ts';
import type { Action } from '../program.ts';
import { countText } from '../words.ts';

export function registerDiskMoveCommands(disk: Command, action: Action): void {
  disk
    .command('seal')
    .argument('<name>')
    .description('make a new generation of what was written')
    .action(
      action<[string]>(async (context, [name]) => {
        const sealed = await askWithProgress(context, 'disk.seal', { name: parseName(name) }, `seal ${name}`);
        const text = `generation ${sealed.sequence}, ${countText(sealed.changedPieces, 'piece')} changed`;
        context.output.result(sealed, text);
      }),
    );

  disk
    .command('handover')
    .argument('<name>')
    .requiredOption('--to <hostid>', 'the host that shall own it', (text) => parseHost('to', text))
    .description('give the disk to another host')
    .action(
      action<[string], { to: HostId }>(async (context, [name], { to }) => {
        const given = await ask(context, 'disk.handover', { name: parseName(name), to }, noteOf(context));
        context.output.result(given, `${to.slice(0, 8)} owns ${name} now, from generation ${given.sequence} on`);
      }),
    );

  disk
    .command('take')
    .argument('<name>')
    .option('--force', "without its owning host, with the owner's key: makes a fork, and names it")
    .description('get the right to write from the host that owns the disk')
    .action(
      action<[string], { force?: boolean }>(async (context, [argument], { force }) => {
        const name = parseName(argument);
        if (force === true) {
          await takeByForce(context, name);
          return;
        }
        const taken = await ask(context, 'disk.take', { name }, noteOf(context));
        context.output.result(taken, `this host owns ${name} now, from generation ${taken.sequence} on`);
      }),
    );
}

async function takeByForce(context: CommandContext, name: string): Promise<void> {
  const view = await ask(context, 'disk.ownerView', { name });
  const { hostId } = await ask(context, 'host.id', {});
  const { record } = forceTake(view, await openOwner(context), { to: hostId as HostId, name });
  const taken = await ask(context, 'disk.takeForce', { name, record });
  if (taken.epoch === view.epoch) {
    context.output.result(taken, `this host owned ${name} already: nothing was forced`);
    return;
  }
  const text =
    `this host owns ${name} now, from generation ${taken.sequence} on, as the fork "${taken.forkName}".\n` +
    'What the former owner wrote after that generation is not part of the disk any more.';
  context.output.result(taken, text);
}

function noteOf(context: CommandContext): (event: { phase: string }) => void {
  return ({ phase }) => context.output.note(phase);
}
