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
];

/** Options and values that reach nothing outside the machine. */
const HARMLESS: readonly RegExp[] = [
  /^-(no-hpet|no-acpi|no-reboot)$/,
  /^-cpu [A-Za-z0-9_.,+=-]+$/,
  /^-rtc (base=(utc|localtime)|clock=(host|rt|vm)|driftfix=(none|slew)|,)+$/,
  /^-boot [a-z0-9=,-]+$/,
  /^-vga (none|std|cirrus|qxl|virtio|vmware)$/,
  /^-device (virtio-(rng|balloon|keyboard|tablet|mouse|gpu|vga)(-pci)?|usb-(tablet|kbd|mouse)|qemu-xhci|i6300esb|pvpanic)(,(id|bus|addr|disable-legacy|disable-modern)=[A-Za-z0-9._-]+)*$/,
  /^-uuid [0-9a-f-]{36}$/,
  /^-global [A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+$/,
];

/** The options of a command line, each with its value. INVALID_ARGUMENT where a value stands alone. */
export function argumentPairs(args: readonly string[]): ArgumentPair[] {
  const pairs: ArgumentPair[] = [];
  for (let index = 0; index < args.length; index++) {
    const option = args[index]!.replace(/^--/, '-');
    if (!option.startsWith('-'))
      throw new DiskswarmError('INVALID_ARGUMENT', `"${args[index]}" is no option of QEMU`, {
        data: { argument: args[index] },
      });
    const value = args[index + 1];
    if (FLAGS.includes(option) || value === undefined || value.startsWith('-')) pairs.push(option);
    else {
      pairs.push(`${option} ${value}`);
      index++;
    }
  }
  return pairs;
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
