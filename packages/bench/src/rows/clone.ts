/** Making a clone of a large template: how long it takes and what is written, beside a qcow2 overlay. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { buildLargeDisk, fillChunks } from '../hosts/large-disk.ts';
import { run } from '../programs.ts';
import { check, type Row, valueFigure } from '../row.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const CHUNK_BYTES = 65536;

export const clone: Row = {
  name: 'clone',
  title: 'A clone of a sparse template of 100 GiB',
  target: 'under 100 ms, under 1 MiB written',
  programs: ['qemu-img'],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds, log }) {
    const disk = { sizeBytes: smoke ? 4 * GIB : 100 * GIB, strideBytes: MIB, dataBytes: CHUNK_BYTES };
    const host = new AgentHost({ stateDir: join(folder, 'host') });
    await host.start();
    await host.stop();
    await buildLargeDisk(host, disk);
    await host.start();
    await host.publish('large');
    const tookMs: number[] = [];
    const writtenBytes: number[] = [];
    const overlayMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const name = `clone-${round}`;
      const wanted = { template: 'large', sequence: null, name, records: host.newDiskRecords() };
      const before = writtenBy(host.pid);
      const startedMs = performance.now();
      await host.call('disk.clone', wanted);
      tookMs.push(performance.now() - startedMs);
      writtenBytes.push(writtenBy(host.pid) - before);
      const overlay = join(folder, `overlay${round}.qcow2`);
      const size = String(disk.sizeBytes);
      const made = await run(['qemu-img', 'create', '-q', '-f', 'qcow2', overlay, size]);
      overlayMs.push(made.elapsedMs);
      log(`${Math.round(tookMs.at(-1) ?? 0)} ms, ${writtenBytes.at(-1)} bytes`);
    }
    await compare(host, `clone-${rounds - 1}`, folder, disk.strideBytes);
    await host.stop();
    const kib = writtenBytes.map((bytes) => bytes / 1024);
    const measure = `a clone of ${disk.sizeBytes / GIB} GiB`;
    return {
      series: [
        { subject: 'diskswarm', measure, unit: 'ms', values: tookMs },
        { subject: 'diskswarm', measure: 'bytes that the agent wrote for it', unit: 'KiB', values: kib },
        { subject: 'qemu-img create', measure: 'an empty qcow2 overlay as large', unit: 'ms', values: overlayMs },
      ],
      figures: [
        valueFigure('time to make a clone', 'ms', tookMs, { kind: 'at most', value: 100 }),
        valueFigure('written to make a clone', 'KiB', kib, { kind: 'at most', value: 1024 }),
      ],
      checks: ['the first chunks that hold data, and a hole between them, read through the last clone'],
      notes: [
        `The template holds ${disk.sizeBytes / disk.strideBytes} different chunks of 64 KiB, one in each MiB; the rest is holes. All of it is on the host.`,
        'The owner signs the records of the clone before the clock starts: a passphrase is typed, or read, once for any number of clones. Bytes written are all that the agent handed to the kernel meanwhile, answers on its sockets included. The time of `qemu-img create` has the start of a process in it.',
      ],
    };
  },
};

/** Bytes that the process handed to write calls so far. */
function writtenBy(pid: number): number {
  const [, bytes] = /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8')) ?? [];
  check(bytes !== undefined, 'the kernel does not say what the agent writes');
  return Number(bytes);
}

async function compare(host: AgentHost, name: string, folder: string, strideBytes: number): Promise<void> {
  const uri = await host.attach(name, { readOnly: true });
  const expected = new Uint8Array(CHUNK_BYTES);
  for (const offset of [0, strideBytes, 2 * strideBytes]) {
    const file = join(folder, `read-${offset}`);
    const where = `json:{"driver":"raw","offset":${offset},"size":${CHUNK_BYTES},"file":${JSON.stringify(fileOf(uri))}}`;
    await run(['qemu-img', 'convert', '-O', 'raw', where, file]);
    fillChunks(expected, offset);
    check(Buffer.compare(readFileSync(file), expected) === 0, `the clone has other bytes at ${offset}`);
  }
}

/** QEMU's name for an export. */
function fileOf(uri: string): object {
  const { pathname, searchParams } = new URL(uri);
  const server = { type: 'unix', path: searchParams.get('socket') ?? '' };
  return { driver: 'nbd', server, export: decodeURIComponent(pathname.slice(1)) };
}
