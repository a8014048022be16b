/**
 * Small real Linux guests under QEMU, for the demo, tests and benchmarks.
 *
 * ```ts
 * const { kernel, initramfs, rootImage } = await prepareGuest();     // cached
 * const guest = bootGuest({ disk: { nbdUri }, kernel, initramfs });  // nbdUri serves a copy of rootImage
 * console.log(await guest.ready());
 * await guest.write('letter', 1_000_000, 7);                         // written, fsynced, its hash compared
 * await guest.reboot();
 * await guest.checkAll();
 * await guest.poweroff();
 * ```
 *
 * A test bed: real processes, files and timers. It knows nothing of chunks or hosts; a guest sees a disk and no more.
 */
export { defaultCacheDir } from './cache.ts';
export { expectedJournalSha256, expectedSha256, MAX_WRITE_BYTES } from './content.ts';
export { type DrbdArtefacts, prepareDrbdGuest } from './drbd.ts';
export {
  type BootOptions,
  bootGuest,
  Guest,
  type GuestFile,
  type GuestReady,
  type GuestResult,
  type WaitOptions,
} from './guest.ts';
export type { GuestExit } from './guest-process.ts';
export { buildInitramfs } from './initramfs.ts';
export { type GuestKernel, type Log, prepareKernel } from './kernel.ts';
export { type GuestDisk, type NbdTarget, parseNbdUri } from './nbd-target.ts';
export { type GuestArtefacts, type PrepareOptions, prepareGuest } from './prepare.ts';
export { type GuestEvent, GuestProtocol, parseGuestLine } from './protocol.ts';
export { guestArguments, type MachineOptions } from './qemu-args.ts';
export { buildRootImage, cachedRootImage, type RootImageOptions } from './root-image.ts';
export { installHint, probeQemu, type QemuProbe } from './tools.ts';
