/** 64 KiB and 1 MiB sequential reads and writes beside nbdkit. */
import { fio, fioVerify } from '../fio.ts';
import { interleave } from '../interleave.ts';
import { type Figure, type Row, ratioFigure, type Series } from '../row.ts';
import { startServers } from './nbd-subjects.ts';

const MEASURES = [
  { rw: 'read', blockBytes: 65536, depth: 8, words: '64 KiB sequential reads, depth 8' },
  { rw: 'read', blockBytes: 2 ** 20, depth: 4, words: '1 MiB sequential reads, depth 4' },
  { rw: 'write', blockBytes: 65536, depth: 8, words: '64 KiB sequential writes, depth 8' },
  { rw: 'write', blockBytes: 2 ** 20, depth: 4, words: '1 MiB sequential writes, depth 4' },
] as const;

export const nbdSequential: Row = {
  name: 'nbd-sequential',
  title: 'NBD, sequential',
  target: 'at least 0.85 × nbdkit',
  programs: ['fio', 'nbdkit', 'nbdcopy'],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds, log }) {
    const sizeBytes = smoke ? 32 * 2 ** 20 : 2 ** 30;
    const exports = await startServers(folder, { sizeBytes, servers: ['diskswarm', 'nbdkit file'] });
    const series: Series[] = [];
    const figures: Figure[] = [];
    for (const { rw, blockBytes, depth, words } of MEASURES) {
      log(words);
      const job = { rw, blockBytes, depth, seconds: smoke ? 0.3 : 2, sizeBytes };
      const measure = async (uri: string): Promise<number> => (await fio({ ...job, uri })).bytesPerSecond / 2 ** 20;
      const values = await interleave(
        rounds,
        {
          diskswarm: () => measure(exports.diskswarm),
          'nbdkit file': () => measure(exports['nbdkit file']),
        },
        { warmUp: !smoke },
      );
      const ours = { subject: 'diskswarm', measure: words, unit: 'MiB/s', values: values.diskswarm };
      const peer = { subject: 'nbdkit file', measure: words, unit: 'MiB/s', values: values['nbdkit file'] };
      series.push(ours, peer);
      figures.push(ratioFigure(`${words}, against nbdkit file`, ours, peer, { kind: 'at least', value: 0.85 }));
    }
    await fioVerify(exports.diskswarm, Math.min(sizeBytes, 64 * 2 ** 20));
    return {
      series,
      figures,
      checks: [
        'both exports copied out with nbdcopy before the measurement and compared with the image',
        'after it, 64 MiB of our disk written at random with fio and read back with crc32c',
      ],
      notes: [
        'A round to warm up is not counted. Page cache warm. Reads come before writes: they read the imported chunks, not the overlay.',
      ],
    };
  },
};
