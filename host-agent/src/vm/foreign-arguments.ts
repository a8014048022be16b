/**
 * Which QEMU arguments that another host chose may be run here. Pure.
 *
 * A QEMU argument can read and write any file of this user, listen on the network and run programs. So an argument from elsewhere is run only if it is
 * one of a few that reach nothing outside the machine, or if this host's own person allowed exactly it (`vm allow`), or used it in `vm start` here.
 */
import { DiskswarmError } from '@diskswarm/core';

/** An option with its value, as one text: `-device virtio-rng-pci`. */
export type ArgumentPair = string;

/** Options that take no value. */
const FLAGS = [
  '-nodefaults',
  '-no-user-config',
  '-no-hpet',
  '-no-acpi',
  '-no-reboot',
  '-no-shutdown',
  '-enable-kvm',
  '-S',
  '-daemonize',
  '-nographic',
  '-snapshot',
  '-usb',
  '-s',
];

/** Options and values that reach nothing outside the machine. */
const HARMLESS: readonly RegExp[] = [
  /^-(no-hpet|no-acpi|no-reboot|no-shutdown|nodefaults|no-user-config|nographic|usb|enable-kvm)$/,
  /^-accel (kvm|tcg)(,thread=(single|multi))?$/,
  /^-name [A-Za-z0-9_.,=-]+$/,
  /^-display none$/,
  /^-drive ((id|if|index|media|bus|unit|cache|aio|discard|detect-zeroes|werror|rerror)=[a-z0-9_.-]+,|format=raw,|file\.driver=nbd,|file\.reconnect-delay=\d{1,6},)*file\.server=\{disk\d{1,2}\}$/,
  /^-blockdev (node-name=[A-Za-z0-9_.-]+,|(discard|detect-zeroes|cache\.direct|cache\.no-flush)=[a-z]+,|driver=nbd,|reconnect-delay=\d{1,6},)*server=\{disk\d{1,2}\}$/,
  /^-device virtio-blk(-pci)?(,(id|drive|bus|addr|bootindex|serial|write-cache|werror|rerror|num-queues|queue-size)=[A-Za-z0-9_.-]+)+$/,
  /^-cpu [A-Za-z0-9_.,+=-]+$/,
  /^-rtc (base=(utc|localtime)|clock=(host|rt|vm)|driftfix=(none|slew)|,)+$/,
  /^-boot [a-z0-9=,-]+$/,
  /^-vga (none|std|cirrus|qxl|virtio|vmware)$/,
  /^-device (virtio-(rng|balloon|keyboard|tablet|mouse|gpu|vga)(-pci)?|usb-(tablet|kbd|mouse)|qemu-xhci|i6300esb|pvpanic)(,(id|bus|addr|disable-legacy|disable-modern|deflate-on-oom|free-page-hint|free-page-reporting|iothread)=[A-Za-z0-9._-]+)*$/,
  /^-object iothread,id=[A-Za-z0-9._-]+$/,
  /^-uuid [0-9a-f-]{36}$/,
  /^-global [A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+$/,
];

/** One option of QEMU; null for one that has no value. */
export interface Option {
  /** With one dash. */
  readonly option: string;
  readonly value: string | null;
}

/** The options of a command line. INVALID_ARGUMENT where a value stands alone. */
export function optionsOf(args: readonly string[]): Option[] {
  const options: Option[] = [];
  for (let index = 0; index < args.length; index++) {
    const option = args[index]!.replace(/^--/, '-');
    if (!option.startsWith('-'))
      throw new DiskswarmError('INVALID_ARGUMENT', `"${args[index]}" is no option of QEMU`, {
        data: { argument: args[index] },
      });
    const value = args[index + 1];
    if (FLAGS.includes(option) || value === undefined || value.startsWith('-')) options.push({ option, value: null });
    else {
      options.push({ option, value });
      index++;
    }
  }
  return options;
}

/** The command line of these options. */
export function wordsOf(options: readonly Option[]): string[] {
  return options.flatMap(({ option, value }) => (value === null ? [option] : [option, value]));
}

/** The options of a command line, each with its value. INVALID_ARGUMENT where a value stands alone. */
export function argumentPairs(args: readonly string[]): ArgumentPair[] {
  return optionsOf(args).map(({ option, value }) => (value === null ? option : `${option} ${value}`));
}

/** Those of `args` that only this host's user can allow. */
export function notHarmless(args: readonly string[]): Option[] {
  return optionsOf(args).filter(({ option, value }) => {
    const pair = value === null ? option : `${option} ${value}`;
    return !HARMLESS.some((pattern) => pattern.test(pair));
  });
}

/** VM_ARGS_NOT_ALLOWED, naming the first argument that is neither harmless nor among `allowed`. */
export function checkForeignArguments(args: readonly string[], allowed: ReadonlySet<ArgumentPair>): void {
  for (const pair of argumentPairs(args)) {
    if (allowed.has(pair) || HARMLESS.some((pattern) => pattern.test(pair))) continue;
    throw new DiskswarmError(
      'VM_ARGS_NOT_ALLOWED',
      `the machine needs the QEMU argument "${pair}", which only this host's own user can allow: \`diskswarm vm allow -- ${pair}\``,
      { data: { argument: pair } },
    );
  }
}
