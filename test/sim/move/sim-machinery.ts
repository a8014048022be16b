/** What the agent of a simulated machine has for QEMU, processes and sockets: the models, for as long as this agent lives. */
import { type Clock, DiskswarmError, sleep } from '@diskswarm/core';
import type { Machinery, Outlet, ProcessIdentity, QemuCommand, QemuProcess } from '@diskswarm/host-agent';
import { QmpClient } from '@diskswarm/qmp';
import type { OpenStream } from './memory-socket.ts';
import type { MoveHost } from './move-host.ts';
import type { SimQemu } from './sim-qemu.ts';

const MACHINE = 'pc-i440fx-7.2';
const POLL_MS = 20;
const GRACE_MS = 5000;

export function simMachinery(host: MoveHost): Machinery {
  return {
    program: async () => ({
      version: '7.2.0',
      machines: new Map([
        ['pc', MACHINE],
        [MACHINE, MACHINE],
      ]),
    }),
    accelerator: async () => 'tcg',
    needsKvm: async () => {},
    launch: async (command: QemuCommand, { clock, spawned }) => {
      const qemu = host.spawn(command);
      await spawned(qemu.identity);
      return open(qemu, clock);
    },
    reconnect: async (identity: ProcessIdentity | null, { clock }) => {
      const qemu = identity === null ? null : host.find(identity);
      return qemu === null ? null : open(qemu, clock);
    },
    end: async (identity: ProcessIdentity) => host.find(identity)?.end('killed'),
    outlet: (path: string, open: OpenStream): Outlet => ({
      start: async () => {
        host.outlets.set(path, open);
        return path;
      },
      stop: async () => {
        if (host.outlets.get(path) === open) host.outlets.delete(path);
      },
    }),
    pipe: (path, stream) => {
      const listener = host.machines().find((qemu) => qemu.listening === path);
      if (listener === undefined) throw new DiskswarmError('QMP_CLOSED', `nobody listens at ${path}`);
      return listener.take(stream);
    },
    makeFolder: async () => {},
    remove: async () => {},
    freeMemoryBytes: () => 2 ** 40,
    freeBytes: async () => host.machine.disk.freeBytes,
  };
}

async function open(qemu: SimQemu, clock: Clock): Promise<QemuProcess> {
  if (!qemu.alive) throw new DiskswarmError('QMP_CLOSED', `QEMU ended at once: ${qemu.words}`);
  const qmp = await QmpClient.open((handlers) => qemu.connect(handlers, clock), { clock });
  const watch = async (): Promise<string> => {
    await qmp.closed;
    while (qemu.alive) await sleep(clock, POLL_MS);
    return qemu.words;
  };
  const exited = watch();
  const kill = async (): Promise<void> => {
    qemu.end('killed');
    await exited;
  };
  return {
    identity: qemu.identity,
    qmp,
    exited,
    kill,
    quit: async (graceMs = GRACE_MS) => {
      void qmp.execute('quit', {}).catch(() => {});
      await Promise.race([exited, sleep(clock, graceMs)]);
      await kill();
    },
  };
}
