/** The tracker under announces by datagram, beside opentracker and bittorrent-tracker's server, and what its peers take. */
import { join } from 'node:path';
import {
  announcesPerSecond,
  fill,
  infoHashes,
  startForeign,
  startOpentracker,
  startOurs,
  type TrackerUnderLoad,
} from '../hosts/trackers.ts';
import { interleave } from '../interleave.ts';
import { rssAnonBytes } from '../machine.ts';
import { pause } from '../programs.ts';
import { type Row, ratioFigure, type Series, valueFigure } from '../row.ts';

const WANTED = 50;
const SETTLE_MS = 1500;
const SUBJECTS = ['diskswarm', 'opentracker', 'bittorrent-tracker'] as const;
type Subject = (typeof SUBJECTS)[number];

/** Swarms and the peers of each: 100,000 in all. */
const SHAPES = [
  { swarms: 10, peers: 10_000 },
  { swarms: 1000, peers: 100 },
] as const;

export const tracker: Row = {
  name: 'tracker',
  title: 'Announces by datagram to a swarm of 10,000 peers, 50 peers wanted; memory of 100,000 peers',
  target: 'at least 0.3 × opentracker, 20 × bittorrent-tracker; at most 25 MB',
  programs: ['opentracker', 'python3'],
  needsRoot: false,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const peers = smoke ? 500 : 10_000;
    const seconds = smoke ? 0.2 : 1.5;
    const hashes = infoHashes(1);
    const port = 20_000 + (process.pid % 20_000);
    const trackers: Record<Subject, TrackerUnderLoad> = {
      diskswarm: await startOurs(),
      opentracker: await startOpentracker(folder, port, hashes),
      'bittorrent-tracker': await startForeign(port + 1),
    };
    log(`putting ${peers} peers into each`);
    for (const subject of SUBJECTS) await fill(trackers[subject], hashes, peers);
    let lost = 0;
    const measure = async (subject: Subject): Promise<number> => {
      const found = await announcesPerSecond(trackers[subject], hashes, { peers, wanted: WANTED, seconds });
      lost += found.lost;
      log(`${subject}: ${Math.round(found.perSecond)} announces/s`);
      return found.perSecond;
    };
    const values = await interleave(
      rounds,
      {
        diskswarm: () => measure('diskswarm'),
        opentracker: () => measure('opentracker'),
        'bittorrent-tracker': () => measure('bittorrent-tracker'),
      },
      { warmUp: !smoke },
    );
    for (const { service } of Object.values(trackers)) await service.stop();
    const of = (subject: Subject): Series => ({
      ...{ subject, measure: `announces to a swarm of ${peers}, ${WANTED} peers wanted`, unit: '/s' },
      values: values[subject],
    });
    const memory: Series[] = [];
    for (const shape of smoke ? [{ swarms: 2, peers: 100 }] : SHAPES) {
      const measureOf = `memory of ${shape.swarms} swarms of ${shape.peers} peers`;
      const names = infoHashes(shape.swarms);
      const add = async (subject: Subject, subjectTracker: TrackerUnderLoad): Promise<void> => {
        const bytes = await memoryOf(subjectTracker, names, shape.peers, smoke);
        log(`${subject}: ${measureOf}: ${(bytes / 1e6).toFixed(1)} MB`);
        memory.push({ subject, measure: measureOf, unit: 'MB', values: [bytes / 1e6] });
      };
      await add('diskswarm', await startOurs());
      await add('opentracker', await startOpentracker(join(folder, 'memory'), port + 2, names));
    }
    const ours = memory.filter(({ subject }) => subject === 'diskswarm').flatMap((series) => series.values);
    return {
      series: [...SUBJECTS.map(of), ...memory],
      figures: [
        ratioFigure('announces/s, against opentracker', of('diskswarm'), of('opentracker'), {
          kind: 'at least',
          value: 0.3,
        }),
        ratioFigure("announces/s, against bittorrent-tracker's server", of('diskswarm'), of('bittorrent-tracker'), {
          kind: 'at least',
          value: 20,
        }),
        valueFigure('tracker memory per 100,000 peers, the worse of two shapes', 'MB', [Math.max(...ours)], {
          kind: 'at most',
          value: 25,
        }),
      ],
      checks: [
        'every answer is as long as 50 peers make it; of one in a thousand, that its peers differ and belong to the swarm',
      ],
      notes: [
        'All are sent the same datagrams by one load of ours, with at most 128 under way, in turns; load and tracker share the machine.',
        `What was not answered within 0.2 s: ${lost}.`,
        'Memory: growth of RssAnon from after a warm-up with ten peers to after 100,000 peers were announced, in a process of its own.',
      ],
    };
  },
};

/** What a fresh tracker grew by when the swarms were filled. */
async function memoryOf(
  target: TrackerUnderLoad,
  hashes: readonly string[],
  peers: number,
  smoke: boolean,
): Promise<number> {
  const few = hashes.slice(0, 1);
  await fill(target, few, 10);
  await announcesPerSecond(target, few, { peers: 10, wanted: 5, seconds: smoke ? 0.2 : 1.5 });
  await pause(smoke ? 0 : SETTLE_MS);
  const before = rssAnonBytes(target.service.pid);
  await fill(target, hashes, peers);
  await pause(smoke ? 0 : SETTLE_MS);
  const grown = rssAnonBytes(target.service.pid) - before;
  await target.service.stop();
  return grown;
}
