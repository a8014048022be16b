/**
 * `status [--watch]`: what this host does, in plain words.
 *
 * A watch asks once a second and ends with SIGINT: on a terminal it redraws, with --json it prints one object per line.
 */
import { hasCode, sleep } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import type { Command } from 'commander';
import { ask, type CommandContext } from '../context.ts';
import type { Action } from '../program.ts';
import { statusText } from '../status-words.ts';

const WATCH_EVERY_MS = 1000;

export function registerStatusCommand(program: Command, action: Action): void {
  program
    .command('status')
    .option('--watch', 'again every second until SIGINT')
    .description('disks, peers, rates, faults, and what is missing')
    .action(
      action<[], { watch?: boolean }>(async (context, _, { watch }) => {
        if (watch === true) await watchStatus(context);
        else {
          const status = await ask(context, 'status', {});
          context.output.result(status, statusText(status));
        }
      }),
    );
}

async function watchStatus(context: CommandContext): Promise<void> {
  const { output, signal } = context;
  try {
    for (;;) {
      const status = await ask(context, 'status', {});
      const text = statusText(status);
      if (!output.json && output.isTerminal) output.screen(text);
      else output.result(status, `${text}\n`);
      await sleep(systemClock, WATCH_EVERY_MS, { signal });
    }
  } catch (error) {
    // Being told to stop is how a watch ends.
    if (!signal.aborted || !hasCode(error, 'ABORTED')) throw error;
  }
}
