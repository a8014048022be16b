/**
 * `vm migrate | migrate-status | migrate-cancel`: a running machine moves to another host, with its disks.
 *
 * With --json the commands that go on print one object per line. The agent moves the machine: ending this program does not stop it.
 */
import type { HostId } from '@diskswarm/core';
import type { Command } from 'commander';
import type { MigrationStatus } from '../../control/methods.ts';
import { ask, type CommandContext } from '../context.ts';
import { planText, progressLine, recordText, screenText } from '../migration-words.ts';
import { parseChoice, parseCount, parseHost, parseName, parseRate } from '../parse.ts';
import type { Action } from '../program.ts';

const DISK_MODES = ['precopy', 'hybrid', 'postcopy'] as const;
const MEMORY_MODES = ['precopy', 'postcopy'] as const;
const THROTTLES = ['bradford', 'adaptive', 'off'] as const;

interface MigrateOptions {
  readonly to: HostId;
  readonly plan?: boolean;
  readonly disk: (typeof DISK_MODES)[number];
  readonly memory: (typeof MEMORY_MODES)[number];
  readonly maxDowntime: number;
  readonly bandwidth?: number;
  readonly compress: boolean;
  readonly autoConverge?: boolean;
  readonly throttle: (typeof THROTTLES)[number];
}

export function registerVmMigrateCommands(vm: Command, action: Action): void {
  vm.command('migrate')
    .argument('<name>')
    .requiredOption('--to <hostid>', 'the host that shall run it', (text) => parseHost('to', text))
    .option('--plan', 'say what it would take, and move nothing')
    .option(
      '--disk <mode>',
      'precopy: all before the pause ends; hybrid: what is missing then follows; postcopy: all of it follows',
      (text) => parseChoice('disk', text, DISK_MODES),
      'hybrid' as const,
    )
    .option(
      '--memory <mode>',
      'precopy: all before the guest goes on there; postcopy: once sent it goes on there, and is lost if the hosts lose each other before the rest came',
      (text) => parseChoice('memory', text, MEMORY_MODES),
      'precopy' as const,
    )
    .option('--max-downtime <ms>', 'the pause that the guest may have, milliseconds', parseMilliseconds, 300)
    .option(
      '--bandwidth <rate>',
      'bytes per second that this host sends for it, memory and disk together, for example 20M',
      (text) => parseRate('bandwidth', text),
    )
    .option('--compress', 'send the memory compressed (zstd), which is the default', true)
    .option('--no-compress', 'send the memory as it is')
    .option('--auto-converge', 'slow the guest down when its memory changes faster than the link carries')
    .option(
      '--throttle <policy>',
      'how its writes are slowed when they outrun the link: bradford (in doubling steps), adaptive (as the link drains), off',
      (text) => parseChoice('throttle', text, THROTTLES),
      'bradford' as const,
    )
    .description('move a running machine to another host')
    .action(
      action<[string], MigrateOptions>(async (context, [argument], options) => {
        const name = parseName(argument);
        const params = {
          name,
          to: options.to,
          plan: options.plan === true,
          disk: options.disk,
          memory: options.memory,
          maxDowntimeMs: options.maxDowntime,
          bandwidthBytesPerSecond: options.bandwidth ?? null,
          compress: options.compress,
          autoConverge: options.autoConverge === true,
          throttle: options.throttle,
        };
        const result = await ask(context, 'vm.migrate', params, (status) => show(context, status));
        context.output.result(result, 'event' in result ? endOf(result) : planText(result));
      }),
    );

  vm.command('migrate-status')
    .argument('<name>')
    .option('--watch', 'one live screen until it is over; with --json one object per line')
    .description('how far the move of a machine from this host is')
    .action(
      action<[string], { watch?: boolean }>(async (context, [name], { watch }) => {
        const params = { name: parseName(name), watch: watch === true };
        const status = await ask(context, 'vm.migrateStatus', params, (each) => watchLine(context, each));
        context.output.result(status, status.phase === 'ended' ? recordText(status.record) : screenText(status));
      }),
    );

  vm.command('migrate-cancel')
    .argument('<name>')
    .description('take the machine back, as long as its disks were not given away')
    .action(
      action<[string]>(async (context, [name]) => {
        const status = await ask(context, 'vm.migrateCancel', { name: parseName(name) });
        context.output.result(status, `${status.name} stays here`);
      }),
    );
}

function show({ output }: CommandContext, status: MigrationStatus): void {
  if (output.json) output.object(status);
  else output.note(progressLine(status));
}

/** On a terminal the screen is drawn anew each time. */
function watchLine(context: CommandContext, status: MigrationStatus): void {
  if (!context.output.json && context.output.isTerminal) context.output.screen(screenText(status));
  else show(context, status);
}

function endOf({ name, to, record }: MigrationStatus): string {
  if (record.runningAtMs == null)
    return `host ${to.slice(0, 8)} has ${name}, and was lost before it said that it runs; look at \`diskswarm vm info ${name}\` there`;
  const pause = typeof record.stopToRunningMs === 'number' ? `, after a pause of ${record.stopToRunningMs} ms` : '';
  const warnings = (Array.isArray(record.warnings) ? record.warnings : [])
    .map((warning) => `\nwarning: ${warning}`)
    .join('');
  return `${name} runs on host ${to.slice(0, 8)} now${pause}; \`diskswarm vm migrate-status ${name} --watch\` shows the rest of its disks following${warnings}`;
}

/** `300ms` or `300`. */
function parseMilliseconds(text: string): number {
  return parseCount('max-downtime', text.replace(/ms$/, ''));
}
