/** A template to aria2c through our torrent, out of the store, beside aria2c that seeds the same bytes from a file. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { TorrentSwarm } from '../hosts/torrent.ts';
import { hashFile, writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { check, type Row, ratioFigure, type Series } from '../row.ts';

const NAME = 'bench';
const SUBJECTS = ['diskswarm', 'aria2c'] as const;
type Subject = (typeof SUBJECTS)[number];

export const torrent: Row = {
  name: 'torrent',
  title: 'A template to aria2c over loopback, as a standard torrent',
  target: 'at least 0.5 × aria2c from aria2c',
  programs: ['aria2c'],
  needsRoot: false,
  rounds: 7,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 32 : 512) * 2 ** 20;
    const image = join(folder, 'image.raw');
    await writeImage(image, { sizeBytes, seed: 7, zeroShare: 0, holes: false });
    const expected = await hashFile(image);
    const swarm = new TorrentSwarm(join(folder, 'torrent'), image);
    await swarm.start();
    const host = new AgentHost({ stateDir: join(folder, 'state') });
    await host.start();
    await host.import(image, NAME);
    await host.publish(NAME);
    const ours = join(folder, 'ours.torrent');
    await host.call('torrent.give', { name: NAME, sequence: null, trackers: [swarm.announceUrl], path: ours });
    const first = smoke ? 0 : -1;
    const measure = async (
      round: number,
      download: Promise<{ bytesPerSecond: number; file: string }>,
    ): Promise<number> => {
      const { bytesPerSecond, file } = await download;
      if (round === first) check((await hashFile(file)) === expected, 'aria2c downloaded something else');
      await rm(file);
      return bytesPerSecond / 2 ** 20;
    };
    const values = await interleave(
      rounds,
      {
        diskswarm: (round) => measure(round, swarm.downloadOf(ours, `${NAME}-1.raw`)),
        aria2c: (round) => measure(round, swarm.download()),
      },
      { warmUp: !smoke },
    );
    const of = (subject: Subject): Series => ({
      ...{ subject, measure: 'downloaded by aria2c', unit: 'MiB/s', values: values[subject] },
    });
    return {
      series: SUBJECTS.map(of),
      figures: [
        ratioFigure('template to aria2c, against aria2c from aria2c', of('diskswarm'), of('aria2c'), {
          kind: 'at least',
          value: 0.5,
        }),
      ],
      checks: ['the first download of each compared with the image'],
      notes: [
        'One peer each, over loopback, found by our tracker. The rate is the one aria2c reports; it checks SHA-1 and writes a file.',
        'Ours reads chunks out of the store and verifies each; aria2c seeds a file in the page cache, unverified.',
      ],
    };
  },
};
