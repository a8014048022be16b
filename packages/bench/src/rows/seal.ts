/** Sealing: what was written since the last generation becomes chunks, a manifest and a signed record, all synced. Beside b3sum of as much. */
import { join } from 'node:path';
import { fioScatter } from '../fio.ts';
import { AgentHost } from '../hosts/agent-host.ts';
import { checkExport } from '../hosts/nbd-servers.ts';
import { writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { run } from '../programs.ts';
import { check, type Row, ratioFigure, type Series, valueFigure } from '../row.ts';

const CHUNK_BYTES = 65536;
const NAME = 'bench';

export const seal: Row = {
  name: 'seal',
  title: 'Sealing of a disk of 256 MiB that was written whole, and of scattered writes of 4 KiB',
  target: 'stated, beside b3sum on one thread',
  programs: ['fio', 'nbdcopy', 'b3sum'],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 32 : 256) * 2 ** 20;
    const writes = smoke ? 50 : 1000;
    const image = join(folder, 'image.raw');
    const next = join(folder, 'next.raw');
    await writeImage(image, { sizeBytes, seed: 11, zeroShare: 0, holes: false });
    const host = new AgentHost({ stateDir: join(folder, 'state') });
    await host.start();
    await host.import(image, NAME);
    const uri = await host.attach(NAME);
    const scattered: number[] = [];
    const whole = await interleave(rounds, {
      diskswarm: async (round) => {
        await writeImage(next, { sizeBytes, seed: 100 + round, zeroShare: 0, holes: false });
        await run(['nbdcopy', '--flush', next, uri]);
        const all = await timedSeal(host);
        check(all.changedPieces === sizeBytes / CHUNK_BYTES, `${all.changedPieces} pieces changed, not all`);
        if (round === 0)
          await checkExport(uri, next, join(folder, 'copy.raw'), 'what was sealed is not what was written');
        await fioScatter(uri, { sizeBytes, writes, seed: 30 + round });
        const few = await timedSeal(host);
        check(few.changedPieces > 0 && few.changedPieces <= writes, `${few.changedPieces} pieces changed`);
        scattered.push(few.changedPieces / (few.elapsedMs / 1000));
        return sizeBytes / 2 ** 20 / (all.elapsedMs / 1000);
      },
      'b3sum, one thread': async () =>
        sizeBytes / 2 ** 20 / ((await run(['b3sum', '--num-threads', '1', image])).elapsedMs / 1000),
    });
    const of = (subject: keyof typeof whole): Series => ({
      ...{ subject, measure: `all of ${sizeBytes / 2 ** 20} MiB written anew`, unit: 'MiB/s', values: whole[subject] },
    });
    const measure = `${writes} scattered writes of 4 KiB`;
    return {
      series: [
        of('diskswarm'),
        of('b3sum, one thread'),
        { subject: 'diskswarm', measure, unit: 'chunks/s', values: scattered },
      ],
      figures: [
        ratioFigure(
          'sealing of what was written, against b3sum on one thread',
          of('diskswarm'),
          of('b3sum, one thread'),
          null,
        ),
        valueFigure('chunks sealed after scattered writes', 'chunks/s', scattered, null),
      ],
      checks: [
        'the number of changed pieces that each seal found, against what was written',
        'the disk copied out after the first seal and compared with what was written',
      ],
      notes: [
        'Ours ends with chunks, manifest and generation synced, measured at the control socket with the disk attached; b3sum reads as many bytes from the page cache and stores nothing.',
        'A chunk that was written in part is read, joined with the write and hashed whole.',
      ],
    };
  },
};

async function timedSeal(host: AgentHost): Promise<{ changedPieces: number; elapsedMs: number }> {
  const startedMs = performance.now();
  const { changedPieces } = await host.call('disk.seal', { name: NAME });
  return { changedPieces, elapsedMs: performance.now() - startedMs };
}
