/** A guest that moves back to where its disk was before: what is still the same does not travel again. */
import type { GuestArtefacts } from '@diskswarm/guest';
import { GuestLine } from '../hosts/guest-line.ts';
import { type Hosts, moveByAgents, startHosts, startMachine } from '../hosts/moves.ts';
import { type Row, ratioFigure } from '../row.ts';
import { commonSeries, MOVE_CHECKS, MOVE_NOTES, MOVE_PROGRAMS, moveGuest, onLine, takeTurns } from './move-parts.ts';

/** A quarter of the data on the disk. */
const RENEWED_MIB = 50;
/** As fast as it goes. */
const FAST_KIB = 51_200;

export const moveAgain: Row = {
  name: 'move-again',
  title: 'Live move back to a host that holds an older generation, 75 % of the chunks the same, over 100 Mbit/s',
  target: 'bytes at most 0.35 × of the first time',
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest(smoke ? { sizeMib: 96, contentMib: 24 } : { sizeMib: 256, contentMib: 154 }, log);
    const renewedMib = smoke ? 8 : RENEWED_MIB;
    const moves = await onLine({ mbit: 100, roundTripMs: 0 }, async (line) => {
      const there = { 'first time': [], back: [] } as Record<string, Awaited<ReturnType<typeof moveByAgents>>[]>;
      await takeTurns(
        rounds,
        { folder, artefacts, line, log },
        {
          diskswarm: async (options) => {
            const hosts = await startHosts(options.folder, line);
            await hosts.from.import(artefacts.rootImage, 'root');
            await hosts.from.invite(hosts.to, 'root');
            await renew(hosts, artefacts, renewedMib);
            const first = await moveByAgents({ ...options, hosts, writesKib: 0, mode: 'hybrid' });
            there['first time']!.push(first);
            const back = { from: hosts.to, to: hosts.from };
            await renew(back, artefacts, renewedMib);
            there.back!.push(await moveByAgents({ ...options, hosts: back, writesKib: 0, mode: 'hybrid' }));
            await hosts.from.stop();
            await hosts.to.stop();
            return first;
          },
        },
      );
      return there;
    });
    const series = commonSeries(moves);
    const bytesOf = (subject: string) =>
      series.find((one) => one.subject === subject && one.measure === 'bytes on the line')!;
    return {
      series,
      figures: [
        ratioFigure('bytes to move back, of the first time', bytesOf('back'), bytesOf('first time'), {
          kind: 'at most',
          value: 0.35,
        }),
      ],
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        `Between the two moves the guest wrote ${renewedMib} MiB anew and was started again. Both figures contain the memory.`,
      ],
    };
  },
};

/** Boots the machine at the first host, has it write its region anew with random blocks, and switches it off. */
async function renew(hosts: Hosts, artefacts: GuestArtefacts, mib: number): Promise<void> {
  const lineOf = await startMachine(hosts, artefacts);
  const guest = new GuestLine();
  try {
    await guest.attach(lineOf(hosts.from));
    await guest.ready;
    await guest.say('rewrite', mib, FAST_KIB);
    await guest.say('rest');
  } finally {
    guest.close();
    await hosts.from.call('vm.stop', { name: 'desk', force: true });
  }
}
