/**
 * The tree of commands and how it is run. The single place that imports `commander`; the commands register themselves
 * on the tree and get a CommandContext instead of commander's objects.
 *
 * --state, --json, --owner-file and --passphrase-file are taken before and after the command's name. Wrong usage, whether
 * commander or a parser of ours finds it, is INVALID_ARGUMENT and ends with 2; every other error with 1.
 */
import { DiskswarmError, hasCode } from '@diskswarm/core';
import { Command, CommanderError } from 'commander';
import { registerBenchCommands } from './commands/bench.ts';
import { registerDaemonCommands } from './commands/daemons.ts';
import { registerDashboardCommand } from './commands/dashboard.ts';
import { registerDiskCommands } from './commands/disk.ts';
import { registerDiskDataCommands } from './commands/disk-data.ts';
import { registerDiskMemberCommands } from './commands/disk-members.ts';
import { registerDiskMoveCommands } from './commands/disk-move.ts';
import { registerDiskTemplateCommands } from './commands/disk-templates.ts';
import { registerDiskTorrentCommand } from './commands/disk-torrent.ts';
import { registerFleetCommands } from './commands/fleet.ts';
import { registerHostCommands } from './commands/host.ts';
import { registerOwnerCommands } from './commands/owner.ts';
import { registerStatusCommand } from './commands/status.ts';
import { registerVmCommands } from './commands/vm.ts';
import type { CommandContext, GlobalOptions } from './context.ts';
import { Output } from './output.ts';
import { ownerFile, stateFolder } from './places.ts';

/** A command's own code. `args` are the positional arguments, `options` the command's own. */
type Handler<Args, Options> = (context: CommandContext, args: Args, options: Options) => Promise<void>;
/** Makes an action for commander out of a handler. */
export type Action = <Args, Options = Record<string, never>>(
  handler: Handler<Args, Options>,
) => (...all: unknown[]) => Promise<void>;

export interface RunOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/** Runs one command line (without program names); resolves with the exit code 0, 1 or 2. */
export async function runCommandLine(argv: readonly string[], options: RunOptions): Promise<number> {
  const { stdout, stderr, signal } = options;
  const action: Action =
    (handler) =>
    async (...all) => {
      const command = all.at(-1) as Command;
      const globals = command.optsWithGlobals() as GlobalOptions;
      const context: CommandContext = {
        output: new Output(globals.json === true, stdout, stderr),
        stateDir: stateFolder(globals.state, process.env),
        ownerFile: ownerFile(globals.ownerFile, process.env),
        passphraseFile: globals.passphraseFile,
        signal,
      };
      await handler(context, all.slice(0, -2) as never, all.at(-2) as never);
    };
  const output = new Output(asksForJson(argv), stdout, stderr);
  try {
    await makeProgram(action, options).parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return endOfCommander(error, output);
    output.error(error);
    return hasCode(error, 'INVALID_ARGUMENT') ? 2 : 1;
  }
}

function makeProgram(action: Action, { stdout, stderr }: RunOptions): Command {
  const program = new Command('diskswarm')
    .description('Virtual disks that every host they have been on can seed')
    .version('0.1.0')
    .option('--state <dir>', "this host's state folder (DISKSWARM_STATE)")
    .option('--json', 'one JSON document on stdout; several commands print one object per line')
    .option('--owner-file <file>', "the owner's key file (DISKSWARM_OWNER)")
    .option(
      '--passphrase-file <file>',
      'a file whose first line is the passphrase; DISKSWARM_PASSPHRASE holds the passphrase itself',
    )
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .showHelpAfterError('(--help says more)')
    .exitOverride();
  registerOwnerCommands(program, action);
  registerDaemonCommands(program, action);
  registerHostCommands(program, action);
  const disk = program.command('disk').description('virtual disks on this host');
  registerDiskCommands(disk, action);
  registerDiskMemberCommands(disk, action);
  registerDiskMoveCommands(disk, action);
  registerDiskDataCommands(disk, action);
  registerDiskTorrentCommand(disk, action);
  registerDiskTemplateCommands(disk, action);
  registerFleetCommands(program, action);
  registerVmCommands(program, action);
  registerStatusCommand(program, action);
  registerBenchCommands(program, action);
  registerDashboardCommand(program, action);
  return program;
}

/** Help and version end with 0; anything else of commander is wrong usage, which it already explained on stderr. */
function endOfCommander(error: CommanderError, output: Output): number {
  if (error.exitCode === 0) return 0;
  const why = error.code === 'commander.help' ? 'a command is missing' : error.message.replace(/^error: /, '');
  if (output.json) output.error(new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: error.code } }));
  return 2;
}

/** Whether errors are wanted as documents, also when the line cannot be parsed. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json');
}
