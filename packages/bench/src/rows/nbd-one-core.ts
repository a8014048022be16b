/** 4 KiB random reads one at a time, client and server pinned to one core, beside nbdkit. */
import { fio } from '../fio.ts';
import { interleave } from '../interleave.ts';
import { type Row, ratioFigure, type Series } from '../row.ts';
import { startServers } from './nbd-subjects.ts';

const PINNED = ['taskset', '--cpu-list', '0'];
const MEASURE = '4 KiB random reads, depth 1, one core';

export const nbdOneCore: Row = {
  name: 'nbd-one-core',
  title: 'NBD, 4 KiB random reads, depth 1, one core',
  target: 'at least 1.2 × nbdkit',
  programs: ['fio', 'nbdkit', 'nbdcopy', 'taskset'],
  needsRoot: false,
  rounds: 9,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = smoke ? 32 * 2 ** 20 : 2 ** 30;
    const exports = await startServers(folder, { sizeBytes, servers: ['diskswarm', 'nbdkit file'], prefix: PINNED });
    const medians: Record<'diskswarm' | 'nbdkit file', number[]> = { diskswarm: [], 'nbdkit file': [] };
    const measure = async (server: 'diskswarm' | 'nbdkit file'): Promise<number> => {
      const job = {
        rw: 'randread',
        blockBytes: 4096,
        depth: 1,
        seconds: smoke ? 0.3 : 3,
        sizeBytes,
        prefix: PINNED,
      } as const;
      const { iops, latencyUs } = await fio({ ...job, uri: exports[server] });
      medians[server].push(latencyUs.p50);
      return iops;
    };
    const values = await interleave(
      rounds,
      {
        diskswarm: () => measure('diskswarm'),
        'nbdkit file': () => measure('nbdkit file'),
      },
      { warmUp: !smoke },
    );
    const iops = (subject: 'diskswarm' | 'nbdkit file'): Series => ({
      ...{ subject, measure: MEASURE, unit: 'IOPS', values: values[subject] },
    });
    const latency = (subject: 'diskswarm' | 'nbdkit file'): Series => ({
      ...{ subject, measure: `${MEASURE}: median latency`, unit: 'µs', values: medians[subject].slice(-rounds) },
    });
    return {
      series: [iops('diskswarm'), iops('nbdkit file'), latency('diskswarm'), latency('nbdkit file')],
      figures: [
        ratioFigure(`${MEASURE}, against nbdkit file`, iops('diskswarm'), iops('nbdkit file'), {
          kind: 'at least',
          value: 1.2,
        }),
      ],
      checks: ['every export copied out with nbdcopy before the measurement and compared with the image'],
      notes: [
        'A round to warm up is not counted. fio, the agent with all its threads, and nbdkit with all of its are held on one core by taskset.',
      ],
    };
  },
};
