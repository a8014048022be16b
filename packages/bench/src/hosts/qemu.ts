/**
 * A QEMU that this process drives by itself: the peer of a machine that an agent runs, with the same machine and guest.
 *
 * It runs in a folder of its own, where its monitor and the line to its guest are Unix sockets.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '@diskswarm/core';
import { systemClock } from '@diskswarm/core/system';
import { type GuestArtefacts, guestArguments } from '@diskswarm/guest';
import { QmpClient, type QmpEvent } from '@diskswarm/qmp';
import { type Service, serve } from '../programs.ts';

/** As an agent starts a machine, and with the guest's line at the same place. */
export const LINE_SOCKET = 'line.sock';

export interface QemuOptions {
  readonly folder: string;
  readonly prefix: readonly string[];
  readonly artefacts: GuestArtefacts;
  readonly memoryMiB: number;
  /** QEMU's description of the disk; its node name is `disk`. */
  readonly blockdev: Readonly<Record<string, unknown>>;
  readonly incoming: boolean;
  /** More arguments. */
  readonly args?: readonly string[];
}

/** The monitor at a socket. */
export function openMonitor(path: string): Promise<QmpClient> {
  return QmpClient.open(
    ({ onData, onClose }) => {
      const socket = connect(path);
      socket.on('data', onData);
      socket.on('error', () => {}); // Told by `close`.
      socket.on('close', () => onClose());
      return { write: (bytes) => socket.write(bytes), close: () => socket.destroy() };
    },
    { clock: systemClock },
  );
}

export class Qemu {
  readonly qmp: QmpClient;
  readonly linePath: string;
  readonly #service: Service;

  private constructor(qmp: QmpClient, linePath: string, service: Service) {
    this.qmp = qmp;
    this.linePath = linePath;
    this.#service = service;
  }

  static async start(options: QemuOptions): Promise<Qemu> {
    const { folder, prefix, artefacts, memoryMiB, blockdev, incoming, args = [] } = options;
    mkdirSync(folder, { recursive: true });
    const monitor = join(folder, 'qmp.sock');
    const command = [
      ...[
        ...prefix,
        'qemu-system-x86_64',
        '-nodefaults',
        '-no-user-config',
        '-display',
        'none',
        '-M',
        'pc',
        '-cpu',
        'max',
      ],
      // 8 KiB more: of whole 256 KiB an emulating QEMU before 9.0 loses changes while it copies them (docs/MIGRATION.md).
      ...['-accel', 'tcg,thread=single', '-smp', '1', '-m', `${memoryMiB * 1024 + 8}k`],
      ...['-chardev', `socket,id=qmp,path=${monitor},server=on,wait=off`, '-mon', 'chardev=qmp,mode=control'],
      ...['-chardev', `file,id=console,path=${join(folder, 'console.log')}`, '-serial', 'chardev:console'],
      ...['-blockdev', JSON.stringify({ ...blockdev, 'node-name': 'disk', discard: 'unmap' })],
      ...['-device', 'virtio-blk-pci,drive=disk,id=disk-dev,write-cache=on,werror=report,rerror=report'],
      ...guestArguments({ ...artefacts, protocolSocket: join(folder, LINE_SOCKET) }),
      ...args,
      ...(incoming ? ['-S', '-incoming', 'defer'] : []),
    ];
    const service = await serve(command, async () => existsSync(monitor));
    const qmp = await openMonitor(monitor).catch(async (error: unknown) => {
      await service.stop(); // It has ended by itself, most likely, and said why.
      throw new Error(`QEMU did not start: ${service.lastWords() || messageOf(error)}`, { cause: error });
    });
    return new Qemu(qmp, join(folder, LINE_SOCKET), service);
  }

  /** Resolves with the next event that fits. Ask before what causes it. */
  event(fits: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    return new Promise((resolve) => {
      const forget = this.qmp.onEvent((event) => {
        if (!fits(event)) return;
        forget();
        resolve(event);
      });
    });
  }

  /** Idempotent. */
  stop(): Promise<void> {
    return this.#service.stop();
  }
}
