/**
 * `vm …`: virtual machines that the agent runs, on disks of this host.
 *
 * Arguments behind `--` are QEMU's. The console is the machine's first serial line; Ctrl-] leaves it.
 */
import net from 'node:net';
import { DiskswarmError } from '@diskswarm/core';
import type { Command } from 'commander';
import type { VmInfo } from '../../control/methods.ts';
import { ask, type CommandContext } from '../context.ts';
import { recordText } from '../migration-words.ts';
import { parseCount, parseName, parseSize } from '../parse.ts';
import type { Action } from '../program.ts';
import { sizeText } from '../words.ts';
import { registerVmAdoptCommand } from './vm-adopt.ts';
import { registerVmMigrateCommands } from './vm-migrate.ts';

interface StartOptions {
  readonly disk: readonly string[];
  readonly memory?: number;
  readonly cpus?: number;
}

/** Leaves the console: Ctrl-]. */
const ESCAPE = 0x1d;

export function registerVmCommands(program: Command, action: Action): void {
  const vm = program.command('vm').description('virtual machines on this host');

  vm.command('start')
    .argument('<name>')
    .argument('[qemu-args...]', 'behind --: arguments for QEMU')
    .option(
      '--disk <disk>',
      'a disk of this host; again for more',
      (text, all: string[]) => [...all, parseName(text)],
      [],
    )
    .option('--memory <size>', 'for example 2G (default: 1G)', (text) => parseSize('memory', text))
    .option('--cpus <n>', 'virtual processors (default: 1)', (text) => parseCount('cpus', text))
    .description('attach the disks and start the machine; without --disk one that is known here')
    .action(
      action<[string, string[]], StartOptions>(async (context, [name, args], { disk, memory, cpus }) => {
        const wanted = {
          name: parseName(name),
          disks: [...disk],
          memoryBytes: memory ?? null,
          cpus: cpus ?? null,
          args,
        };
        const started = await ask(context, 'vm.start', wanted);
        context.output.result(
          started,
          `${started.name} runs as process ${started.pid}; \`diskswarm vm console ${started.name}\` shows its console`,
        );
      }),
    );

  registerVmAdoptCommand(vm, action);

  vm.command('stop')
    .argument('<name>')
    .option('--force', 'at once: the guest is not asked to power off')
    .description('power the machine off')
    .action(
      action<[string], { force?: boolean }>(async (context, [name], { force }) => {
        const stopped = await ask(context, 'vm.stop', { name: parseName(name), force: force === true });
        context.output.result(stopped, `${stopped.name} is off`);
      }),
    );

  vm.command('ls')
    .description('the machines of this host')
    .action(
      action(async (context) => {
        const { vms } = await ask(context, 'vm.ls', {});
        context.output.result({ vms }, vms.length === 0 ? 'no virtual machine' : vms.map(lineOf).join('\n'));
      }),
    );

  vm.command('info')
    .argument('<name>')
    .description('everything about one machine, its last migration included')
    .action(
      action<[string]>(async (context, [name]) => {
        const info = await ask(context, 'vm.info', { name: parseName(name) });
        context.output.result(info, textOf(info));
      }),
    );

  vm.command('console')
    .argument('<name>')
    .description("connect the terminal to the machine's console; Ctrl-] leaves it")
    .action(
      action<[string]>(async (context, [name]) => {
        const { consoleSocket, consoleLog } = await ask(context, 'vm.info', { name: parseName(name) });
        if (consoleSocket === '')
          throw new DiskswarmError(
            'VM_STATE',
            `machine "${name}" was adopted: its console is what its own QEMU arguments made of it`,
            { data: { vm: name } },
          );
        if (context.output.json) context.output.result({ socket: consoleSocket, log: consoleLog }, '');
        else await connectTerminal(consoleSocket, context);
      }),
    );

  registerVmMigrateCommands(vm, action);

  vm.command('allow')
    .argument('<qemu-args...>', 'behind --: arguments for QEMU')
    .description('let machines that come from other hosts be started with these QEMU arguments')
    .action(
      action<[string[]]>(async (context, [args]) => {
        const { allowed } = await ask(context, 'vm.allow', { args });
        context.output.result({ allowed }, `allowed here:\n${allowed.map((pair) => `  ${pair}`).join('\n')}`);
      }),
    );
}

function lineOf({ name, state, memoryBytes, cpus, disks, reason }: VmInfo): string {
  const names = disks.map((disk) => disk.name ?? disk.diskId.slice(0, 8)).join(', ');
  const why = reason === '' ? '' : `: ${reason.split('\n')[0]}`;
  return `${name}  ${state}  ${sizeText(memoryBytes)}, ${cpus} CPU, disks ${names}${why}`;
}

function textOf(info: VmInfo): string {
  const lines = [
    lineOf({ ...info, reason: '' }),
    `  machine   ${info.machine}, ${info.accel}`,
    ...(info.pid === null ? [] : [`  process   ${info.pid}${info.adopted ? ', adopted' : ''}`]),
    ...(info.args.length === 0 ? [] : [`  arguments ${info.args.join(' ')}`]),
    ...(info.consoleLog === '' ? [] : [`  console   ${info.consoleLog}`]),
    ...(info.reason === '' ? [] : [`  reason    ${info.reason}`]),
    ...(info.migration === null ? [] : ['  last migration', recordText(info.migration).replaceAll(/^/gm, '    ')]),
  ];
  return lines.join('\n');
}

function connectTerminal(socketPath: string, { signal }: CommandContext): Promise<void> {
  const { stdin, stdout } = process;
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    const leave = (): void => {
      socket.destroy();
    };
    const typed = (bytes: Buffer): void => {
      if (bytes.includes(ESCAPE)) leave();
      else socket.write(bytes);
    };
    socket.once('connect', () => {
      if (stdin.isTTY) stdin.setRawMode(true);
      stdin.on('data', typed);
    });
    socket.on('data', (bytes) => stdout.write(bytes));
    socket.once('error', reject);
    socket.once('close', () => {
      stdin.off('data', typed);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
      signal.removeEventListener('abort', leave);
      resolve();
    });
    signal.addEventListener('abort', leave, { once: true });
  });
}
