/** Memory of an agent that serves a disk of 1 TiB with 100 GiB of data, before and while 10 GiB stream through it. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fioStride } from '../fio.ts';
import { AgentHost } from '../hosts/agent-host.ts';
import { buildLargeDisk, fillChunks, type LargeDisk } from '../hosts/large-disk.ts';
import { PYTHON } from '../link/link.ts';
import { peakBytes, rssAnonBytes } from '../machine.ts';
import { pause, run } from '../programs.ts';
import { check, type Row, type Series, valueFigure } from '../row.ts';
import { median } from '../statistics.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const CHUNK_BYTES = 65536;
const READER = fileURLToPath(new URL('../link/read-chunks.py', import.meta.url));
const FULL: LargeDisk = { sizeBytes: 1024 * GIB, strideBytes: GIB, dataBytes: 100 * MIB };
const SMALL: LargeDisk = { sizeBytes: 16 * GIB, strideBytes: GIB, dataBytes: 10 * MIB };
const SAMPLE_MS = 250;
const PASSES = 2;

export const memory: Row = {
  name: 'memory',
  title: 'Memory (RssAnon) of an agent serving a 1 TiB disk with 100 GiB of data',
  target: 'under 400 MiB, and flat while 10 GiB stream through',
  programs: ['fio', 'nbdsh'],
  needsRoot: false,
  rounds: 1,
  async run({ folder, smoke, log }) {
    const disk = smoke ? SMALL : FULL;
    const [readBytes, writtenBytes] = smoke ? [64 * MIB, 32 * MIB] : [7 * GIB, 3 * GIB];
    const host = new AgentHost({ stateDir: join(folder, 'state') });
    await host.start();
    await host.stop();
    log('building the disk');
    await buildLargeDisk(host, disk);
    await host.start();
    const info = await host.call('disk.info', { name: 'large' });
    const dataPieces = ((disk.sizeBytes / disk.strideBytes) * disk.dataBytes) / CHUNK_BYTES;
    check(info.piecesPresent === dataPieces, `${info.piecesPresent} pieces are here, not ${dataPieces}`);
    const uri = await host.attach('large');
    await checkContent(uri, disk);
    const settled = await settledBytes(host.pid);
    log('streaming');
    const stride = { uri, strideBytes: disk.strideBytes, dataBytes: disk.dataBytes };
    const passes: number[][] = [];
    for (let pass = 0; pass < PASSES; pass++) {
      const reads = await sampleWhile(host.pid, fioStride({ ...stride, rw: 'read', streamBytes: readBytes / PASSES }));
      const writes = await sampleWhile(
        host.pid,
        fioStride({ ...stride, rw: 'write', streamBytes: writtenBytes / PASSES }),
      );
      passes.push([...reads, ...writes]);
    }
    const samples = passes.flat();
    const [firstPass = [], secondPass = []] = passes;
    const after = await settledBytes(host.pid);
    const stats = await host.call('store.stats', {});
    const peak = peakBytes(host.pid);
    const growth = median(tail(secondPass)) - median(tail(firstPass));
    const of = (measure: string, bytes: number): Series => ({
      ...{ subject: 'diskswarm agent', measure, unit: 'MiB', values: [bytes / MIB] },
    });
    return {
      series: [
        of('RssAnon after the start, disk attached', settled),
        of('RssAnon, highest while data streamed', Math.max(...samples)),
        of('RssAnon afterwards', after),
        of('resident memory with code and files, highest (VmHWM)', peak),
        {
          subject: 'diskswarm agent',
          measure: 'chunks and pages in its index',
          unit: 'entries',
          values: [stats.chunks],
        },
      ],
      figures: [
        valueFigure('RssAnon, highest while data streamed', 'MiB', [Math.max(...samples) / MIB], {
          kind: 'at most',
          value: 400,
        }),
        valueFigure('RssAnon, after 10 GiB less after 5 GiB', 'MiB', [growth / MIB], {
          kind: 'at most',
          value: 40,
        }),
      ],
      checks: [
        'all pieces of data are present after a restart; a hundred chunks all over the disk read over NBD and compared',
      ],
      notes: [
        'The manifest is synthetic: the import is the real one, of chunks that are all different but mostly zero, so that its packs fit on this machine as sparse files.',
        '7 GiB are read and 3 GiB are written over NBD in blocks of 1 MiB, across the disk, in two passes alike: the first also fills buffers and heap, so growth is judged by the second. It takes 10 GiB of temporary space; on a slow disk set TMPDIR to a tmpfs.',
      ],
    };
  },
};

async function checkContent(uri: string, { sizeBytes, strideBytes, dataBytes }: LargeDisk): Promise<void> {
  const step = Math.max(1, Math.floor(sizeBytes / strideBytes / 100));
  const offsets: number[] = [];
  for (let stride = 0; stride * strideBytes < sizeBytes; stride += step) {
    offsets.push(stride * strideBytes + ((stride * 7 * CHUNK_BYTES) % dataBytes));
  }
  const { stdout } = await run([PYTHON, READER, uri, String(CHUNK_BYTES), ...offsets.map(String)]);
  const answers = stdout.trim().split('\n');
  const expected = Buffer.alloc(CHUNK_BYTES);
  for (const [index, offset] of offsets.entries()) {
    fillChunks(expected, offset);
    const hash = createHash('sha256').update(expected).digest('hex');
    check(answers[index]?.split(' ')[1] === hash, `other bytes came at ${offset}`);
  }
}

/** After a moment of quiet. */
async function settledBytes(pid: number): Promise<number> {
  await pause(2000);
  return rssAnonBytes(pid);
}

async function sampleWhile(pid: number, work: Promise<unknown>): Promise<number[]> {
  const samples = [rssAnonBytes(pid)];
  const timer = setInterval(() => samples.push(rssAnonBytes(pid)), SAMPLE_MS);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  return samples;
}

/** Its last fifth. */
function tail(samples: readonly number[]): readonly number[] {
  return samples.slice(-Math.max(1, Math.floor(samples.length / 5)));
}
