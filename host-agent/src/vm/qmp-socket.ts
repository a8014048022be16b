/** QMP over a Unix socket: the injected connection of packages/qmp. */
import net from 'node:net';
import type { QmpConnect } from '@diskswarm/qmp';

/** Connects to QEMU's monitor at `socketPath`. */
export function qmpOverSocket(socketPath: string): QmpConnect {
  return (handlers) => {
    const socket = net.connect(socketPath);
    let failure: Error | undefined;
    socket.on('data', (bytes) => handlers.onData(bytes));
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => handlers.onClose(failure));
    return { write: (bytes) => socket.write(bytes), close: () => socket.destroy() };
  };
}

/** Whether a process listens at `socketPath`, be it busy or deaf. */
export function someoneListens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    const finish = (listens: boolean): void => {
      socket.destroy();
      resolve(listens);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => finish(code !== 'ENOENT' && code !== 'ECONNREFUSED'));
  });
}
