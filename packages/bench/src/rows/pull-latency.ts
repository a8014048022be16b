/** Tail latency of cached reads while the same agent pulls another disk at full speed, beside the same reads when it is idle. */
import { join } from 'node:path';
import { fio } from '../fio.ts';
import type { AgentHost } from '../hosts/agent-host.ts';
import { checkExport } from '../hosts/nbd-servers.ts';
import { writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { type Row, ratioFigure, type Series, valueFigure } from '../row.ts';
import { pullOnce, startPair } from './wire.ts';

const CACHED_BYTES = 512 * 2 ** 20;

export const pullLatency: Row = {
  name: 'pull-latency',
  title: 'p99.9 of cached reads while the agent pulls another disk at full speed',
  target: 'stated, beside the same read on an idle agent',
  programs: ['fio', 'nbdcopy'],
  needsRoot: false,
  rounds: 7,
  async run({ folder, smoke, rounds }) {
    const cachedBytes = smoke ? 32 * 2 ** 20 : CACHED_BYTES;
    const pulled = join(folder, 'pulled.raw');
    await writeImage(pulled, { sizeBytes: (smoke ? 64 : 1024) * 2 ** 20, seed: 4, zeroShare: 0, holes: false });
    const pair = await startPair(folder, pulled, 'tls');
    const uri = await attachCached(pair.to, folder, cachedBytes);
    const medians: Record<'idle' | 'pulling', number[]> = { idle: [], pulling: [] };
    const p99: Record<'idle' | 'pulling', number[]> = { idle: [], pulling: [] };
    const rates: number[] = [];
    const read = async (state: 'idle' | 'pulling', round: number): Promise<number> => {
      const job = {
        rw: 'randread',
        blockBytes: 4096,
        depth: 1,
        seconds: smoke ? 1 : 3,
        sizeBytes: cachedBytes,
      } as const;
      const { latencyUs } = await fio({ ...job, uri });
      if (round >= 0) {
        medians[state].push(latencyUs.p50);
        p99[state].push(latencyUs.p99);
      }
      return latencyUs.p999;
    };
    const values = await interleave(
      rounds,
      {
        idle: (round) => read('idle', round),
        pulling: async (round) => {
          const stop = new AbortController();
          const pulling = pullUntil(pair, stop.signal);
          const latency = await read('pulling', round);
          stop.abort();
          if (round >= 0) rates.push(await pulling);
          else await pulling;
          return latency;
        },
      },
      { warmUp: !smoke },
    );
    const of = (subject: 'idle' | 'pulling', measure: string, list: readonly number[]): Series => ({
      ...{
        subject: `diskswarm, ${subject}`,
        measure: `4 KiB cached read, depth 1: ${measure}`,
        unit: 'µs',
        values: list,
      },
    });
    const idle = of('idle', 'p99.9', values.idle);
    const busy = of('pulling', 'p99.9', values.pulling);
    return {
      series: [
        ...[of('idle', 'median', medians.idle), of('pulling', 'median', medians.pulling)],
        ...[of('idle', 'p99', p99.idle), of('pulling', 'p99', p99.pulling)],
        ...[idle, busy],
        { subject: 'diskswarm', measure: 'rate of the pull meanwhile', unit: 'MiB/s', values: rates },
      ],
      figures: [
        valueFigure('p99.9 of cached reads on an idle agent', 'µs', idle.values, null),
        valueFigure('p99.9 of cached reads while it pulls another disk', 'µs', busy.values, null),
        ratioFigure('the latter over the former', busy, idle, null),
      ],
      checks: ['the cached disk copied out and compared with its image; every pull ended with all pieces there'],
      notes: [
        'Puller, server of the pull, and fio share the cores of this machine: on two cores a part of the tail is the wait for a core.',
      ],
    };
  },
};

async function attachCached(host: AgentHost, folder: string, sizeBytes: number): Promise<string> {
  const image = join(folder, 'cached.raw');
  await writeImage(image, { sizeBytes, seed: 5, zeroShare: 0, holes: false });
  await host.import(image, 'cached');
  const uri = await host.attach('cached');
  await checkExport(uri, image, join(folder, 'copy.raw'), 'the cached disk is not what the image holds');
  return uri;
}

/** Pulls the disk again and again until told to stop, the last one to its end; the mean rate of the pulls, MiB per second. */
async function pullUntil(pair: { from: AgentHost; to: AgentHost }, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  let elapsedMs = 0;
  do {
    elapsedMs += await pullOnce(pair);
    bytes += (await pair.to.call('disk.info', { name: 'bench' })).sizeBytes;
  } while (!signal.aborted);
  return bytes / 2 ** 20 / (elapsedMs / 1000);
}
