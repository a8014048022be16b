/** A fleet that boots: each clone becomes a machine with the user's own arguments of QEMU. */
import fs from 'node:fs';
import { guestArguments, prepareGuest } from '@diskswarm/guest';
import test from 'ava';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { machinesIn } from './vm-guest.ts';

const TEMPLATE = 'debian';
/** A boot reads more regions of its disk than the firmware does. */
const BOOT_PIECES = 20;

test.serial(
  'fleet start boots every clone with the arguments behind --, goes on where it ended, and stops',
  async (t) => {
    const folder = temporaryFolder(t);
    const { kernel, initramfs, rootImage } = await prepareGuest();
    t.teardown(() => {
      for (const pid of machinesIn(folder)) process.kill(pid, 'SIGKILL');
    });
    const lab = new Host(t, folder, 'lab');
    const env = { DISKSWARM_ACCEL: 'tcg' };
    await lab.start({ env });
    await lab.ok('owner', 'init');
    await lab.ok('disk', 'import', rootImage, '--name', TEMPLATE);
    await lab.ok('disk', 'publish', TEMPLATE);

    // All clones get the same arguments: nobody listens to the guest's line.
    const line = guestArguments({ kernel, initramfs, protocolSocket: 'unused' });
    const quiet = line.map((word) => (word.startsWith('socket,id=protocol') ? 'null,id=protocol' : word));
    const own = [...quiet, '-rtc', 'base=2026-01-02T03:04:05'];
    const start = (count: number, fleet: string, args: readonly string[]) =>
      lab.run([
        'fleet',
        'start',
        TEMPLATE,
        '--count',
        String(count),
        '--name',
        fleet,
        '--memory',
        '96M',
        '--',
        ...args,
      ]);
    const members = async (): Promise<string[]> => {
      const found = (await lab.ok('fleet', 'ls')).members as Json[];
      return found.map(({ name, state }) => `${name} ${state}`);
    };
    const pidOf = async (name: string): Promise<number> => Number(((await lab.call('vm.info', { name })) as Json).pid);

    const wrong = await start(1, 'wrong', ['-no-such-option']);
    t.like(wrong, { exitCode: 1, errorCode: 'QMP_CLOSED' });
    t.regex(wrong.errorMessage, /no-such-option/);
    t.deepEqual(await members(), ['wrong-1 stopped']);
    await lab.ok('fleet', 'stop', 'wrong', '--remove');
    t.deepEqual([await members(), machinesIn(folder)], [[], []]);

    const first = await start(2, 'lab', own);
    t.is(first.exitCode, 0, first.errorMessage);
    t.deepEqual(await members(), ['lab-1 running', 'lab-2 running']);
    const pids = [await pidOf('lab-1'), await pidOf('lab-2')];
    for (const [index, pid] of pids.entries()) {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      for (const word of own) t.true(command.includes(word), word);
      t.is(command[command.indexOf('-name') + 1], `lab-${index + 1}`);
      // Some get a little more: see host-agent/src/vm/emulation-defect.ts.
      t.regex(command[command.indexOf('-m') + 1]!, new RegExp(`^(${96 * 1024}|${96 * 1024 + 8})k$`));
    }
    await eventually('both guests have booted', async () => {
      const { disks } = (await lab.call('status', {})) as { disks: Json[] };
      return disks.filter((disk) => disk.name !== TEMPLATE && Number(disk.touchedPieces) >= BOOT_PIECES).length === 2;
    });

    // Machines outlive the agent; a fleet that is started again is added to.
    await lab.daemon!.crash();
    await lab.start({ env });
    t.is((await start(3, 'lab', own)).exitCode, 0);
    t.deepEqual(await members(), ['lab-1 running', 'lab-2 running', 'lab-3 running']);
    t.deepEqual([await pidOf('lab-1'), await pidOf('lab-2')], pids);

    await lab.ok('fleet', 'stop', 'lab');
    t.deepEqual(await members(), ['lab-1 stopped', 'lab-2 stopped', 'lab-3 stopped']);
    t.deepEqual(machinesIn(folder), []);
    await lab.ok('fleet', 'stop', '--remove');
    t.deepEqual(await members(), []);
  },
);
