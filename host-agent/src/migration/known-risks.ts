/**
 * What can go wrong with a move although all do what they should: known defects of QEMU, told in the plan and the record. Nothing is refused for them.
 */
import type { VmDefinition } from '../vm/definition.ts';
import { mayLoseMemory, TELLS_SINCE } from '../vm/emulation-defect.ts';

/** In plain words; empty where nothing is known. `qemuVersion` as QEMU prints it. */
export function knownRisks(definition: VmDefinition, qemuVersion: string): readonly string[] {
  if (!mayLoseMemory(definition, qemuVersion)) return [];
  return [
    `QEMU ${qemuVersion} emulates this machine's processor, and an emulating QEMU before ${TELLS_SINCE}.0 can lose changes of the guest's memory while it copies it: the guest may crash after the move. Its disks are not affected. KVM, a newer QEMU, or a machine that \`diskswarm vm start\` gave its memory does not have this defect`,
  ];
}
