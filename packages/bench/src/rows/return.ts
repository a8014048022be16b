/** What it costs to go back to a host that holds an older generation, against the chunks that differ. */

import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fioScatter } from '../fio.ts';
import type { AgentHost } from '../hosts/agent-host.ts';
import { copyOut } from '../hosts/nbd-servers.ts';
import { bytesBetween, receivedBytes } from '../hosts/socket-bytes.ts';
import { hashFile, writeImage } from '../image.ts';
import { check, type Row, valueFigure } from '../row.ts';
import { pullOnce, startPair } from './wire.ts';

const CHUNK_BYTES = 65536;

export const returnRow: Row = {
  name: 'return',
  title: 'Bytes moved to return to a host that holds an older generation',
  target: 'at most 1.1 × the chunks that differ',
  programs: ['nbdcopy', 'ss'],
  needsRoot: false,
  rounds: 3,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 64 : 512) * 2 ** 20;
    const writes = smoke ? 20 : 500;
    const moved: number[] = [];
    const wire: number[] = [];
    const differing: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const place = join(folder, String(round));
      const image = join(folder, 'image.raw');
      await writeImage(image, { sizeBytes, seed: 6 + round, zeroShare: 0, holes: false });
      const { from: home, to: away } = await startPair(place, image, 'tls');
      await pullOnce({ from: home, to: away });
      await away.call('disk.take', { name: 'bench' });
      // The person works away from home: small writes all over the disk.
      const target = await away.attach('bench');
      await fioScatter(target, { sizeBytes, writes, seed: round + 1 });
      const { changedPieces } = await away.call('disk.seal', { name: 'bench' });
      const written = join(folder, 'written.raw');
      await copyOut(target, written);
      const changed = await differingChunks(image, written);
      check(changedPieces === changed, `the seal found ${changedPieces} changed pieces, not ${changed}`);
      await away.call('disk.detach', { name: 'bench' });
      const payloadBefore = await bytesBySource(home);
      const socketBefore = await receivedBytes(home, away);
      await home.call('disk.take', { name: 'bench' });
      await home.call('disk.pull', { name: 'bench' });
      const socketBytes = bytesBetween(socketBefore, await receivedBytes(home, away));
      const copy = join(folder, 'copy.raw');
      await copyOut(await home.attach('bench', { readOnly: true }), copy);
      check((await hashFile(copy)) === (await hashFile(written)), 'home does not have what was written away');
      await rm(copy);
      differing.push(changed * CHUNK_BYTES);
      moved.push((await bytesBySource(home)) - payloadBefore);
      wire.push(socketBytes);
      await home.stop();
      await away.stop();
    }
    const mib = (values: readonly number[]): number[] => values.map((value) => value / 2 ** 20);
    const over = (values: readonly number[]): number[] =>
      values.map((value, round) => value / (differing[round] as number));
    const measure = `${writes} scattered writes of 4 KiB on a disk of ${sizeBytes / 2 ** 20} MiB`;
    return {
      series: [
        { subject: 'chunks that differ', measure, unit: 'MiB', values: mib(differing) },
        { subject: 'chunk bytes that came', measure, unit: 'MiB', values: mib(moved) },
        { subject: 'all bytes on the sockets', measure, unit: 'MiB', values: mib(wire) },
        { subject: 'copying the disk', measure, unit: 'MiB', values: differing.map(() => sizeBytes / 2 ** 20) },
      ],
      figures: [
        valueFigure('bytes on the sockets to return, over the chunks that differ', 'x', over(wire), {
          kind: 'at most',
          value: 1.1,
        }),
        valueFigure('chunk bytes of these, over the chunks that differ', 'x', over(moved), null),
      ],
      checks: [
        'the number of changed pieces that the seal found, against the chunks of the written disk that differ from the image',
        'the disk copied out at home after the return and compared with the one copied out before it was left',
      ],
      notes: [
        'Socket bytes are what the kernel counts as received: chunks, manifest pages, claims, records, TLS; without TCP headers.',
      ],
    };
  },
};

/** How many chunks of two files of one size differ. */
async function differingChunks(left: string, right: string): Promise<number> {
  const files = [await open(left, 'r'), await open(right, 'r')] as const;
  const chunks = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)] as const;
  let differing = 0;
  for (let position = 0; ; position += CHUNK_BYTES) {
    const read = await files[0].read(chunks[0], 0, CHUNK_BYTES, position);
    await files[1].read(chunks[1], 0, CHUNK_BYTES, position);
    if (read.bytesRead !== CHUNK_BYTES) break;
    if (!chunks[0].equals(chunks[1])) differing++;
  }
  await Promise.all(files.map((file) => file.close()));
  return differing;
}

async function bytesBySource(host: AgentHost): Promise<number> {
  const { disks } = await host.call('status', {});
  return disks.flatMap((disk) => Object.values(disk.bytesBySource)).reduce((sum, bytes) => sum + bytes, 0);
}
