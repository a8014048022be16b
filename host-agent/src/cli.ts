/**
 * Entry of the `diskswarm` command: runs one command line and ends with its exit code.
 *
 * The first SIGINT or SIGTERM asks the command to give up (or the agent to stop), a second one ends the process at once. Under npm one
 * Ctrl-C arrives several times, from the terminal and from each program in between: what comes within a second is the same one.
 * What was written is flushed before the end; a reader that went away is no error.
 */
import { runCommandLine } from './cli/program.ts';

const SAME_SIGNAL_MS = 1_000;

const controller = new AbortController();
let firstSignalMs = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!controller.signal.aborted) {
      firstSignalMs = performance.now();
      controller.abort(signal);
    } else if (performance.now() - firstSignalMs > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  });
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

const { stdout, stderr } = process;
const code = await runCommandLine(process.argv.slice(2), { stdout, stderr, signal: controller.signal });
await Promise.all([stdout, stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))));
process.exit(code);
