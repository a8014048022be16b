/**
 * Whether a machine may begin to move, where somebody besides the agent has a hand in its QEMU.
 *
 * Whoever has a monitor of his own can add a disk, or put a snapshot on one whose later writes are in a local file: its twin would run without them.
 */
import { notAdoptable, writableExports } from './inspect-qemu.ts';
import type { Vm } from './vm.ts';

const MONITORS = ['-qmp', '-qmp-pretty', '-mon', '-monitor'];

/** VM_NOT_ADOPTABLE when its disks are not its exports alone any more. */
export async function assertMovable(vm: Vm): Promise<void> {
  const { foreign, definition } = vm.record;
  const shared = foreign === true || definition.args.some((word) => MONITORS.includes(word.replace(/^--/, '-')));
  if (!shared || vm.process === null) return;
  const sockets = await writableExports(vm.process.qmp);
  if (sockets.length !== definition.disks.length)
    throw notAdoptable(
      'disks',
      `it writes to ${sockets.length} exports, machine "${vm.name}" has ${definition.disks.length} disk(s)`,
      {
        vm: vm.name,
      },
    );
}
