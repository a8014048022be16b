/** The source is behind a slow line, and two more holders are on the destination's own network. */
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { moveByAgents } from '../hosts/moves.ts';
import type { Line } from '../link/link.ts';
import { type Row, ratioFigure } from '../row.ts';
import {
  commonSeries,
  MOVE_CHECKS,
  MOVE_NOTES,
  MOVE_PROGRAMS,
  moveGuest,
  onLine,
  seriesOf,
  takeTurns,
} from './move-parts.ts';

export const moveNear: Row = {
  name: 'move-near',
  title: 'Live move from behind 20 Mbit/s, with two more holders on the network of the destination',
  target: 'disk time at least 5 × shorter than from the source alone',
  programs: MOVE_PROGRAMS,
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const artefacts = await moveGuest({ sizeMib: 96, contentMib: smoke ? 8 : 64 }, log);
    const moves = await onLine({ mbit: 20, roundTripMs: 0 }, (line) =>
      takeTurns(
        rounds,
        { folder, artefacts, line, log },
        {
          'from the source alone': (options) => moveByAgents({ ...options, writesKib: 0, mode: 'hybrid' }),
          'with two holders near': async (options) => {
            const hostAt = (
              { prefix, address }: Line['near'],
              name: string,
              peers: readonly string[] = [],
            ): AgentHost =>
              new AgentHost({ stateDir: join(options.folder, name), prefix, listen: `${address}:0`, peers });
            const from = hostAt(line.far, 'from');
            await from.start();
            await from.import(artefacts.rootImage, 'root');
            const near = ['one', 'two'].map((name) => hostAt(line.near, name));
            for (const holder of near) {
              await holder.start();
              await from.invite(holder, 'root');
              await holder.call('disk.pull', { name: 'root' });
            }
            const to = hostAt(
              line.near,
              'to',
              near.map(({ listen }) => listen),
            );
            await to.start();
            await from.invite(to, 'root');
            const move = await moveByAgents({ ...options, hosts: { from, to }, writesKib: 0, mode: 'hybrid' });
            for (const host of [...near, from, to]) await host.stop();
            return move;
          },
        },
      ),
    );
    const names = ['from the source alone', 'with two holders near'] as const;
    const [alone, shared] = names.map((name) =>
      seriesOf(
        name,
        moves[name],
        'the disk as it was at the command',
        's',
        ({ firstRoundMs }) => (firstRoundMs ?? 0) / 1000,
      ),
    );
    return {
      series: [alone!, shared!, ...commonSeries(moves)],
      figures: [
        ratioFigure('disk time from the source alone, over that with two holders near', alone!, shared!, {
          kind: 'at least',
          value: 5,
        }),
      ],
      checks: MOVE_CHECKS,
      notes: [
        ...MOVE_NOTES,
        'The holders and the destination are in one network namespace, without a limit among them.',
      ],
    };
  },
};
