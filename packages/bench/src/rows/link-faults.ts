/** Faults over a slow line while a background pull saturates it, beside the same faults on the idle line. */
import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentHost } from '../hosts/agent-host.ts';
import { seededNumbers, writeImage } from '../image.ts';
import { type Line, openLine, PYTHON } from '../link/link.ts';
import { pause, run } from '../programs.ts';
import { check, type Row, ratioFigure, type Series, valueFigure } from '../row.ts';
import { median, percentile } from '../statistics.ts';

const READER = fileURLToPath(new URL('../link/read-chunks.py', import.meta.url));
const LINE = { bitsPerSecond: 20_000_000, delayMs: 25, queueBytes: 256 * 1024 };
const DISK_BYTES = 1024 * 2 ** 20;
const CHUNK_BYTES = 65536;
const FAULTS = 100;
/** The line's round trip takes 50 ms: what was answered sooner did not cross it. */
const CACHED_BELOW_MS = 45;
/** A pull has found the line's rate by then. */
const STEADY_MS = 6000;

export const linkFaults: Row = {
  name: 'link-faults',
  title: 'Faults while a background pull saturates a 20 Mbit/s line with a round trip of 50 ms',
  target: 'p50 within 1.5 × of that on the idle line, p99 stated',
  programs: ['nbdsh', 'ip', 'python3'],
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    const image = join(folder, 'image.raw');
    await writeImage(image, { sizeBytes: smoke ? DISK_BYTES / 4 : DISK_BYTES, seed: 8, zeroShare: 0, holes: false });
    const line = await openLine(LINE);
    const idle: number[][] = [];
    const busy: number[][] = [];
    const rates: number[] = [];
    try {
      const from = new AgentHost(hostOptions(folder, 'from', line.far));
      await from.start();
      await from.import(image, 'bench');
      for (let round = 0; round < rounds; round++) {
        const to = new AgentHost(hostOptions(folder, `to${round}`, line.near));
        await to.start();
        await from.invite(to, 'bench');
        const uri = await to.attach('bench', { readOnly: true });
        const faults = smoke ? 10 : FAULTS;
        idle.push(await faultLatencies(uri, image, { faults, seed: 2 * round }));
        const before = await received(to);
        const pulling = to.call('disk.pull', { name: 'bench' }).catch(() => null); // Ends with its agent.
        await pause(STEADY_MS);
        const startedMs = performance.now();
        const bytesBefore = await received(to);
        check(bytesBefore > before, 'the pull did not begin');
        busy.push(await faultLatencies(uri, image, { faults, seed: 2 * round + 1 }));
        const rate = ((await received(to)) - bytesBefore) / ((performance.now() - startedMs) / 1000);
        rates.push((rate * 8) / 1e6);
        log(
          `p50 idle ${Math.round(median(idle.at(-1) ?? []))} ms, busy ${Math.round(median(busy.at(-1) ?? []))} ms, ${Math.round(rates.at(-1) ?? 0)} Mbit/s`,
        );
        await to.stop();
        await pulling;
      }
    } finally {
      await line.close();
    }
    return resultOf(idle, busy, rates);
  },
};

function hostOptions(folder: string, name: string, { prefix, address }: Line['near']) {
  return { stateDir: join(folder, name), prefix, listen: `${address}:0` };
}

function resultOf(idle: readonly number[][], busy: readonly number[][], rates: readonly number[]) {
  const of = (subject: string, rounds: readonly number[][], share: number, words: string): Series => ({
    ...{
      subject,
      measure: `latency of a fault, ${words}`,
      unit: 'ms',
      values: rounds.map((list) => percentile(list, share)),
    },
  });
  const idleMedian = of('idle line', idle, 0.5, 'p50');
  const busyMedian = of('saturated line', busy, 0.5, 'p50');
  const idleTail = of('idle line', idle, 0.99, 'p99');
  const busyTail = of('saturated line', busy, 0.99, 'p99');
  return {
    series: [
      ...[idleMedian, busyMedian, idleTail, busyTail],
      { subject: 'saturated line', measure: 'chunk bytes received meanwhile', unit: 'Mbit/s', values: rates },
    ],
    figures: [
      ratioFigure('p50 of faults while a pull saturates the line, over the idle line', busyMedian, idleMedian, {
        ...{ kind: 'at most', value: 1.5 },
      }),
      valueFigure('p99 of faults on the idle line', 'ms', idleTail.values, null),
      valueFigure('p99 of faults on the saturated line', 'ms', busyTail.values, null),
    ],
    checks: ['the bytes of every read, against the image'],
    notes: [
      "The wire is modelled, everything above it is real: two network namespaces joined by a relay between two TUN devices (a FIFO in each direction with serialisation, 25 ms of delay, 256 KiB of queue with tail drop), with the kernel's own TCP.",
      `A fault is a read of one whole chunk (64 KiB: 26 ms of line) at depth 1 by libnbd; answers within ${CACHED_BELOW_MS} ms did not cross the line and are left out.`,
    ],
  } as const;
}

async function received(host: AgentHost): Promise<number> {
  const { disks } = await host.call('status', {});
  return disks.flatMap(({ bytesBySource }) => Object.values(bytesBySource)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Reads chunks at random, each once, one after the other; latency of those that crossed the line, milliseconds. */
async function faultLatencies(
  uri: string,
  image: string,
  { faults, seed }: { faults: number; seed: number },
): Promise<number[]> {
  const random = seededNumbers(1000 + seed);
  const { size } = await stat(image);
  const offsets = new Set<number>();
  while (offsets.size < faults) offsets.add(random(size / CHUNK_BYTES) * CHUNK_BYTES);
  const { stdout } = await run([PYTHON, READER, uri, String(CHUNK_BYTES), ...[...offsets].map(String)]);
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const file = await open(image, 'r');
  const expected = Buffer.alloc(CHUNK_BYTES);
  for (const [index, offset] of [...offsets].entries()) {
    await file.read(expected, 0, CHUNK_BYTES, offset);
    check(answers[index]?.[1] === createHash('sha256').update(expected).digest('hex'), `other bytes came at ${offset}`);
  }
  await file.close();
  const latencies = answers.map(([us]) => Number(us) / 1000).filter((ms) => ms >= CACHED_BELOW_MS);
  check(latencies.length >= faults / 2, `only ${latencies.length} of ${faults} reads were faults`);
  return latencies;
}
