/** What a guest's reads at the source take while its disk is copied to another host, against before. */

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GuestLine } from '../hosts/guest-line.ts';
import { startHosts, startMachine } from '../hosts/moves.ts';
import { openMonitor } from '../hosts/qemu.ts';
import { ReadLatency } from '../hosts/read-latency.ts';
import { pause } from '../programs.ts';
import { check, type Row, valueFigure } from '../row.ts';
import { MOVE_PROGRAMS, moveGuest, onLine } from './move-parts.ts';

const MONITOR = 'reads.sock';
const LOOK_MS = 6000;
const LEAST_READS = 1000;

export const moveReads: Row = {
  name: 'move-reads',
  title: "A guest's reads while its disk is copied in bulk, over 100 Mbit/s, 0 ms",
  target: 'p99 at most 2 × of before',
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 5,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest({ sizeMib: 256, contentMib: smoke ? 32 : 200 }, log);
    const before: number[] = [];
    const during: number[] = [];
    await onLine({ mbit: 100, roundTripMs: 0 }, async (line) => {
      for (let round = 0; round < rounds; round++) {
        const own = join(folder, `reads-${round}`);
        await mkdir(own);
        const { from, to } = await startHosts(own, line);
        try {
          await from.import(artefacts.rootImage, 'root');
          await from.invite(to, 'root');
          const lineSocket = await startMachine({ from, to }, artefacts, [
            '-qmp',
            `unix:${MONITOR},server=on,wait=off`,
          ]);
          const guest = new GuestLine();
          await guest.attach(lineSocket(from));
          await guest.ready;
          const qmp = await openMonitor(join(from.stateDir, 'machines', MONITOR));
          const latency = await ReadLatency.of(qmp);
          await guest.say('reads');
          await pause(1000);
          await latency.begin();
          await pause(LOOK_MS);
          const idle = await latency.percentile(0.99);
          await latency.begin();
          const moving = from
            .call('vm.migrate', {
              ...{ name: 'desk', to: to.hostId, plan: false, disk: 'precopy', maxDowntimeMs: 300 },
              ...{
                bandwidthBytesPerSecond: null,
                compress: true,
                autoConverge: false,
                throttle: 'bradford',
                memory: 'precopy',
              },
            })
            .catch(() => null); // It is cancelled.
          await pause(smoke ? 2000 : LOOK_MS);
          const { phase } = await from.call('vm.migrateStatus', { name: 'desk', watch: false });
          check(phase === 'bulk', `the bulk was over too soon: ${phase}`);
          const busy = await latency.percentile(0.99);
          check(
            Math.min(idle.reads, busy.reads) >= (smoke ? 100 : LEAST_READS),
            `the guest reads too little for a percentile: ${idle.reads}, ${busy.reads}`,
          );
          before.push(idle.us);
          during.push(busy.us);
          log(
            `p99 ${Math.round(idle.us)} µs before, ${Math.round(busy.us)} µs during; ${idle.reads} and ${busy.reads} reads`,
          );
          await from.call('vm.migrateCancel', { name: 'desk' });
          await moving;
          guest.close();
          qmp.close();
        } finally {
          await from.call('vm.stop', { name: 'desk', force: true }).catch(() => null); // It never started.
          for (const host of [from, to]) await host.stop();
          await rm(own, { recursive: true, force: true });
        }
      }
    });
    return {
      series: [
        { subject: 'before the move', measure: 'p99 of 4 KiB reads', unit: 'µs', values: before },
        { subject: 'during the bulk', measure: 'p99 of 4 KiB reads', unit: 'µs', values: during },
      ],
      figures: [
        valueFigure(
          "p99 of the guest's reads during the bulk, of that before",
          'x',
          during.map((us, index) => us / before[index]!),
          { kind: 'at most', value: 2 },
        ),
      ],
      checks: ['the bulk was under way all the time that was looked at'],
      notes: [
        'Latencies are those that QEMU counts for the guest, in steps of 5 %: 4 KiB reads past the cache all over the disk, one at a time, 32 every 20 ms.',
      ],
    };
  },
};
