/**
 * What runs on the disk: a real guest under QEMU, or, where there is no QEMU, the recorded boot of one.
 *
 * The story speaks to both in the same words, so that the processes under them do exactly the same.
 */
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '@diskswarm/core';
import { bootGuest, guestArguments, installHint, prepareGuest, probeQemu } from '@diskswarm/guest';
import { createReplay } from './replay.ts';

/** Where a machine's disk is: an export, or a raw file. */
export type MachineDisk = { readonly nbdUri: string } | { readonly file: string };

/** A file that a guest writes. */
export interface PlannedFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly seed: number;
}

/** A machine that runs. */
export interface Machine {
  /** Resolves when its login is there, which may take a guest that long. @default 60 s */
  ready(options?: { timeoutMs: number }): Promise<unknown>;
  /** Writes a file and makes it durable; rejects unless it reads back the same. */
  write(name: string, sizeBytes: number, seed: number): Promise<unknown>;
  /** Holds every file it ever wrote, on any host, against its record; returns how many. */
  checkAll(): Promise<number>;
  reboot(): Promise<unknown>;
  poweroff(): Promise<unknown>;
  /** Leaves nothing running, whatever the state. */
  stop(): Promise<void>;
}

export interface Workload {
  readonly isReal: boolean;
  /** What it is, in words. */
  readonly words: string;
  /** Path of the image to import; the caller's to keep. */
  readonly image: string;
  boot(disk: MachineDisk): Machine;
  /** Arguments of QEMU for an agent that runs the guest, its line at LINE_SOCKET; null where there is no QEMU. */
  readonly qemuArgs: readonly string[] | null;
}

/** In the folder that QEMU runs in, which is each host's own. */
export const LINE_SOCKET = 'line.sock';

/** What the guest writes at home, and then at the office. */
export const FILES: { readonly home: readonly PlannedFile[]; readonly office: readonly PlannedFile[] } = {
  home: [
    { name: 'report', sizeBytes: 600_000, seed: 11 },
    { name: 'photos', sizeBytes: 1_500_000, seed: 12 },
    { name: 'notes', sizeBytes: 40_000, seed: 13 },
  ],
  office: [
    { name: 'slides', sizeBytes: 900_000, seed: 21 },
    { name: 'mail', sizeBytes: 120_000, seed: 22 },
  ],
};

/** The best workload that this machine allows; files go into `folder`, what is done is told to `log`. */
export async function chooseWorkload(
  folder: string,
  log: (message: string) => void,
  signal: AbortSignal,
): Promise<Workload> {
  const { available, missingPackages } = probeQemu();
  if (!available) {
    log(`the guest itself needs more programs. ${installHint(missingPackages)}`);
    return createReplay(folder, signal);
  }
  try {
    return await guestWorkload(folder, log, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    log(`the guest itself could not be made: ${messageOf(error)}`);
    return createReplay(folder, signal);
  }
}

async function guestWorkload(folder: string, log: (message: string) => void, signal: AbortSignal): Promise<Workload> {
  const { kernel, initramfs, rootImage } = await prepareGuest({ log });
  const image = path.join(folder, 'image.raw');
  await copyFile(rootImage, image);
  return {
    isReal: true,
    words: 'a real Linux guest (Debian kernel, busybox on ext4) under QEMU',
    image,
    boot: (disk) => bootGuest({ disk, kernel, initramfs, signal }),
    qemuArgs: guestArguments({ kernel, initramfs, protocolSocket: LINE_SOCKET }),
  };
}
