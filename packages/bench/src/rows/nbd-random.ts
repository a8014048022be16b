/** 4 KiB random reads and writes at depth 32 beside nbdkit and qemu-nbd. */
import { type FioJob, fio, fioVerify } from '../fio.ts';
import { interleave } from '../interleave.ts';
import { type Figure, type Row, ratioFigure, type Series } from '../row.ts';
import { type ServerName, startServers } from './nbd-subjects.ts';

const SERVERS = ['diskswarm', 'nbdkit file', 'qemu-nbd'] as const satisfies readonly ServerName[];
const MEASURES = [
  { rw: 'randread', words: '4 KiB random reads, depth 32', nbdkit: 1.2, qemuNbd: 2.5 },
  { rw: 'randwrite', words: '4 KiB random writes, depth 32', nbdkit: 1, qemuNbd: 2 },
] as const;

export const nbdRandom: Row = {
  name: 'nbd-random',
  title: 'NBD, 4 KiB random, depth 32',
  target: 'at least 1.2 × (reads) and 1.0 × (writes) nbdkit file, 2.5 × and 2.0 × qemu-nbd',
  programs: ['fio', 'nbdkit', 'qemu-nbd', 'nbdcopy'],
  needsRoot: false,
  rounds: 7,
  async run({ folder, smoke, rounds, log }) {
    const sizeBytes = smoke ? 32 * 2 ** 20 : 2 ** 30;
    const exports = await startServers(folder, { sizeBytes, servers: SERVERS });
    const series: Series[] = [];
    const figures: Figure[] = [];
    for (const { rw, words, nbdkit, qemuNbd } of MEASURES) {
      log(words);
      const job = (server: (typeof SERVERS)[number]): FioJob => ({
        ...{ uri: exports[server], rw, blockBytes: 4096, depth: 32, seconds: smoke ? 0.3 : 3, sizeBytes },
      });
      const measure = async (server: (typeof SERVERS)[number]): Promise<number> => (await fio(job(server))).iops;
      const values = await interleave(
        rounds,
        {
          diskswarm: () => measure('diskswarm'),
          'nbdkit file': () => measure('nbdkit file'),
          'qemu-nbd': () => measure('qemu-nbd'),
        },
        { warmUp: !smoke },
      );
      const of = (subject: ServerName): Series => ({ subject, measure: words, unit: 'IOPS', values: values[subject] });
      series.push(...SERVERS.map(of));
      const kind = 'at least' as const;
      figures.push(
        ratioFigure(`${words}, against nbdkit file`, of('diskswarm'), of('nbdkit file'), { kind, value: nbdkit }),
        ratioFigure(`${words}, against qemu-nbd`, of('diskswarm'), of('qemu-nbd'), { kind, value: qemuNbd }),
      );
    }
    await fioVerify(exports.diskswarm, Math.min(sizeBytes, 64 * 2 ** 20));
    const checks = [
      'every export copied out with nbdcopy before the measurement and compared with the image',
      'after it, 64 MiB of our disk written at random with fio and read back with crc32c',
    ];
    return {
      series,
      figures,
      checks,
      notes: [
        'A round to warm up is not counted. Page cache warm, Unix sockets, fio with its nbd engine on the same cores.',
      ],
    };
  },
};
