/**
 * Ends the machines of a run when the run is over, however it ends: machines outlive their agents, and shall not outlive the demonstration.
 *
 * A process of its own waits for the end of its input, which comes when the demonstration closes it or is killed. It knows a machine by the folder that it
 * runs in, because the agent that started it may be gone. Only for Linux, where machines run at all.
 */
import { spawn } from 'node:child_process';

const SCRIPT = `
read -r nothing
for process in /proc/[0-9]*; do
  case "$(readlink "$process/cwd")" in
    "$1"/*) kill -KILL "\${process#/proc/}" ;;
  esac
done
`;

/** Starts it for the machines of all hosts below `folder`; what it returns ends them and resolves when that is done. */
export function startSweeper(folder: string): () => Promise<void> {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'diskswarm-sweeper', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  child.stdin.on('error', () => {}); // It is gone already.
  return () => {
    child.stdin.end();
    return exited;
  };
}
