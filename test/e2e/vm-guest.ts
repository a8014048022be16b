/**
 * A guest in a machine that the agent started: its QEMU arguments, and a line to it that finds it wherever it runs.
 *
 * The guest's protocol (packages/guest) goes over a Unix socket in the folder of the host that runs it. Each command connects anew, because the machine
 * may be another process by then.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type GuestArtefacts, guestArguments, parseGuestLine } from '@diskswarm/guest';
import { eventually, type Host, type Json } from './processes.ts';

/** Relative to the folder that QEMU runs in. */
const SOCKET = 'line.sock';

/** Whether a move's document says that the guest runs at the other host; the rest of its disks may follow, or be there already. */
export function hasMoved({ phase }: Json): boolean {
  return phase === 'post' || phase === 'ended';
}

export class VmGuest {
  /** Where it runs. */
  host: Host;
  #tag = 0;

  constructor(host: Host) {
    this.host = host;
  }

  /** What `vm start … --` is given. */
  arguments(artefacts: GuestArtefacts): string[] {
    return guestArguments({ ...artefacts, protocolSocket: SOCKET });
  }

  /** Waits until the guest answers. */
  ready(): Promise<unknown> {
    return eventually('the guest answers', () => this.#say(['checkall'], 5_000), 120_000);
  }

  /** Sends a command; resolves with the words of its answer, rejects when the guest says it failed or nobody listens. */
  say(...command: readonly (string | number)[]): Promise<readonly string[]> {
    return this.#say(command, 60_000);
  }

  /** What is sent before the guest listens is lost. */
  #say(command: readonly (string | number)[], timeoutMs: number): Promise<readonly string[]> {
    const tag = ++this.#tag;
    return new Promise((resolve, reject) => {
      const socket = net.connect(path.join(this.host.state, 'machines', SOCKET));
      const timer = setTimeout(() => socket.destroy(new Error(`${command.join(' ')}: no answer`)), timeoutMs);
      let text = '';
      socket.setEncoding('latin1');
      socket.on('connect', () => socket.write(`\n@${tag} ${command.join(' ')}\n`));
      socket.on('data', (piece: string) => {
        text += piece;
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const event = parseGuestLine(line);
          if (event?.type !== 'result' || event.tag !== tag) continue;
          socket.end();
          if (event.ok) resolve(event.words);
          else reject(new Error(`the guest: ${line}`));
        }
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        reject(new Error(`${command.join(' ')}: the line to the guest was cut`));
      });
    });
  }
}

/** QEMUs that run in a folder of the test: machines outlive their agents. */
export function machinesIn(folder: string): number[] {
  return fs.readdirSync('/proc').flatMap((entry) => {
    try {
      return fs.readlinkSync(`/proc/${entry}/cwd`).startsWith(`${folder}/`) ? [Number(entry)] : [];
    } catch {
      return []; // Not a process, or gone.
    }
  });
}
