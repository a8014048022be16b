/** The defect of emulating QEMUs before 9.0: machines that are made so that it does not strike, and words where it may. */
import test from 'ava';
import { knownRisks } from '../src/migration/known-risks.ts';
import type { VmDefinition } from '../src/vm/definition.ts';
import { memoryBytesFor } from '../src/vm/emulation-defect.ts';

const MIB = 2 ** 20;
const KIB = 1024;
const MACHINE: VmDefinition = {
  ...{ name: 'desk', memoryBytes: 128 * MIB, cpus: 1, machine: 'pc-i440fx-7.2', accel: 'tcg', disks: [], args: [] },
};

test('an emulating QEMU that loses changes of the memory is named; KVM, and newer ones, are not', (t) => {
  for (const version of ['7.2.22', '8.2.0', '6.0'])
    t.regex(knownRisks(MACHINE, version).join(), new RegExp(`QEMU ${version} emulates .* may crash after the move`));
  for (const version of ['9.0.0', '10.0.2', 'unknown']) t.deepEqual(knownRisks(MACHINE, version), []);
  t.deepEqual(knownRisks({ ...MACHINE, accel: 'kvm' }, '7.2.22'), []);
});

test('under such a QEMU a machine gets memory that is no multiple of 256 KiB, and then there is no risk', (t) => {
  const old = { accel: 'tcg', qemuVersion: '7.2.22', args: [] } as const;
  const cases: readonly (readonly [number, number])[] = [
    [128 * MIB, 128 * MIB + 8 * KIB],
    // QEMU makes 128 MiB of it.
    [128 * MIB - KIB, 128 * MIB + 8 * KIB],
    [128 * MIB + 8 * KIB, 128 * MIB + 8 * KIB],
    [100 * MIB + 100 * KIB, 100 * MIB + 100 * KIB],
  ];
  for (const [wanted, given] of cases) {
    t.is(memoryBytesFor(wanted, old), given);
    t.deepEqual(knownRisks({ ...MACHINE, memoryBytes: given }, old.qemuVersion), []);
    t.is(memoryBytesFor(wanted, { ...old, accel: 'kvm' }), wanted);
    for (const qemuVersion of ['9.0.0', 'unknown']) t.is(memoryBytesFor(wanted, { ...old, qemuVersion }), wanted);
  }
});

test('memory that is described by arguments, or by whoever started the machine, is left as it is, and told of', (t) => {
  const odd = 128 * MIB + 8 * KIB;
  for (const args of [
    ['-object', 'memory-backend-ram,id=ram,size=128M', '-machine', 'pc,memory-backend=ram'],
    ['-numa', 'node,memdev=ram'],
    ['-mem-path', '/dev/hugepages'],
  ]) {
    t.is(memoryBytesFor(128 * MIB, { accel: 'tcg', qemuVersion: '7.2.22', args }), 128 * MIB);
    t.is(knownRisks({ ...MACHINE, memoryBytes: odd, args }, '7.2.22').length, 1);
  }
  t.is(knownRisks({ ...MACHINE, memoryBytes: odd, adopted: true }, '7.2.22').length, 1);
});
