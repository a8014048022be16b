/**
 * The same crowd with one NBD server as a model: every host reads what its guest touches over the server's line, and nothing else.
 *
 * A client's reads of one step are under way together, steps follow each other; clients take turns on the line. What is read is a chunk
 * each time, as a qcow2 overlay reads its clusters of 64 KiB ahead of what the guest asks for.
 */
import { SeededRandom } from '@diskswarm/sim';
import { Cores } from './cores.ts';
import type { CrowdOptions, CrowdResult } from './crowd.ts';
import { ACKNOWLEDGED, FRAMED, Sender } from './sender.ts';
import { Timeline } from './timeline.ts';

export type NbdCrowdOptions = Pick<CrowdOptions, 'trace' | 'hosts' | 'seed' | 'uplink' | 'cores' | 'withinMs'>;

/** Ends with the last login: the rest of the disk never comes. */
export async function modelNbdCrowd(
  options: NbdCrowdOptions,
  { signal }: { signal: AbortSignal },
): Promise<Omit<CrowdResult, 'hosts'>> {
  const { trace, uplink } = options;
  const timeline = new Timeline();
  const cores = new Cores(timeline, options.cores);
  const server = new Sender(timeline, uplink.bitsPerSecond);
  const delayUs = uplink.delayMs * 1000;
  const begins = new SeededRandom(`nbd crowd ${options.seed}`);
  const loginSeconds: number[] = [];
  const boot = (to: number, beganUs: number): void => {
    const goOn = (step: number): void => {
      const { thinkUs, pieces } = trace.steps[step] ?? { thinkUs: trace.restUs, pieces: null };
      cores.busy(thinkUs, () => {
        if (pieces === null) loginSeconds[to] = (timeline.nowUs - beganUs) / 1e6;
        else read(step, pieces.length);
      });
    };
    const read = (step: number, count: number): void => {
      let left = count;
      const arrive = (): void => {
        if (--left === 0) goOn(step + 1);
      };
      timeline.after(delayUs, () => {
        const job = { to, lane: 'fault', lengthBytes: trace.chunkBytes, delayUs, cancelled: false, arrive } as const;
        for (let each = 0; each < count; each++) server.add({ ...job });
      });
    };
    goOn(0);
  };
  for (let host = 0; host < options.hosts; host++) {
    const atUs = begins.between(0, options.withinMs * 1000);
    timeline.at(atUs, () => boot(host, atUs));
  }
  await timeline.run(signal);
  const { sentBytes } = server;
  return {
    ...{ loginSeconds, totalSeconds: timeline.nowUs / 1e6, sentBytes },
    ...{ lineBytes: sentBytes * (FRAMED + ACKNOWLEDGED), events: timeline.happened },
    oneHostBytes: sentBytes / options.hosts,
  };
}
