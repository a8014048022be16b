/** How much of a disk a host needs before the guest on it is up, when it holds nothing of it at first. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bootGuest, prepareGuest, probeQemu } from '@diskswarm/guest';
import { AgentHost } from '../hosts/agent-host.ts';
import { bytesBetween, receivedBytes } from '../hosts/socket-bytes.ts';
import { serve } from '../programs.ts';
import { check, type Row, valueFigure } from '../row.ts';

const MIB = 2 ** 20;

export const boot: Row = {
  name: 'boot',
  title: 'Bytes needed before the guest is up, against the disk',
  target: 'stated',
  programs: ['qemu-system-x86_64', 'busybox', 'mke2fs', 'nbdkit', 'ss'],
  needsRoot: false,
  rounds: 3,
  async run({ folder, rounds, log }) {
    check(probeQemu().available, 'QEMU is here but cannot run the guest');
    const { kernel, initramfs, rootImage } = await prepareGuest({ log });
    const before: number[] = [];
    const onWire: number[] = [];
    const faults: number[] = [];
    const upMs: number[] = [];
    let disk = { sizeBytes: 0, dataBytes: 0 };
    for (let round = 0; round < rounds; round++) {
      const home = new AgentHost({ stateDir: join(folder, `home${round}`) });
      const hotel = new AgentHost({ stateDir: join(folder, `hotel${round}`) });
      await home.start();
      await hotel.start();
      const info = await home.import(rootImage, 'desktop');
      disk = { sizeBytes: info.sizeBytes, dataBytes: info.importedBytes };
      const startedBytes = await receivedBytes(hotel, home);
      await home.invite(hotel, 'desktop');
      const nbdUri = await startWritableView(folder, round, await hotel.attach('desktop', { readOnly: true }));
      const guest = bootGuest({ disk: { nbdUri }, kernel, initramfs });
      try {
        const ready = await guest.ready({ timeoutMs: 120_000 });
        const { disks } = await hotel.call('status', {});
        const [status] = disks;
        check(status !== undefined, 'the host lost its disk');
        check(status.backgroundBytes === 0, 'something was fetched that the guest did not ask for');
        before.push(status.faultBytes);
        onWire.push(bytesBetween(startedBytes, await receivedBytes(hotel, home)));
        faults.push(status.faults.count);
        upMs.push(ready.elapsedMs);
        await guest.write('letter', 100_000, 7);
        check((await guest.checkAll()) === 1, 'the guest does not find what it wrote');
        await guest.poweroff();
      } finally {
        await guest.stop();
      }
      await hotel.stop();
      await home.stop();
    }
    const mib = (values: readonly number[]): number[] => values.map((bytes) => bytes / MIB);
    const share = (whole: number): number[] => before.map((bytes) => (100 * bytes) / whole);
    const measure = 'from power-on to login on a host that held nothing';
    return {
      series: [
        { subject: 'chunk bytes fetched', measure, unit: 'MiB', values: mib(before) },
        { subject: 'all bytes on the sockets', measure, unit: 'MiB', values: mib(onWire) },
        { subject: 'faults', measure, unit: 'faults', values: faults },
        { subject: 'the guest, from the start of QEMU', measure, unit: 's', values: upMs.map((ms) => ms / 1000) },
        { subject: 'the disk', measure: 'size', unit: 'MiB', values: [disk.sizeBytes / MIB] },
        { subject: 'the disk', measure: 'data in it', unit: 'MiB', values: [disk.dataBytes / MIB] },
      ],
      figures: [
        valueFigure('fetched before the guest was up, of the size of the disk', '%', share(disk.sizeBytes), null),
        valueFigure('fetched before the guest was up, of the data on the disk', '%', share(disk.dataBytes), null),
      ],
      checks: [
        'after the login the guest writes a file, fsyncs it, reads it back past its cache, and powers off cleanly',
        'nothing was fetched that no read had asked for',
      ],
      notes: [
        'The guest is real (Debian cloud kernel, busybox on ext4, QEMU without hardware acceleration); kernel and initramfs come from the host, not from the disk.',
        "Only what the guest reads is fetched: the export is read-only, and the guest's own writes stay in nbdkit's copy-on-write filter between them. A disk that is attached for writing also has the rest fetched behind the guest's back.",
      ],
    };
  },
};

/** A view of the export that takes writes and keeps them to itself. */
async function startWritableView(folder: string, round: number, uri: string): Promise<string> {
  const socket = join(folder, `view${round}.sock`);
  const command = ['nbdkit', '--foreground', '--unix', socket, '--filter=cow', 'nbd', `uri=${uri}`];
  await serve(command, async () => existsSync(socket));
  return `nbd+unix:///?socket=${socket}`;
}
