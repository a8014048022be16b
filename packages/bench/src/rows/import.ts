/** Import of an image beside b3sum, which only hashes, and casync, which cuts, compresses and stores. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { checkExport } from '../hosts/nbd-servers.ts';
import { writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { run } from '../programs.ts';
import { check, type Row, ratioFigure, type Series } from '../row.ts';

const ZERO_SHARE = 0.77;
const SUBJECTS = ['diskswarm', 'b3sum, one thread', 'casync make'] as const;
type Subject = (typeof SUBJECTS)[number];

export const importRow: Row = {
  name: 'import',
  title: 'Import of a 2 GiB image, 77 % of it zero',
  target: 'at least 0.8 × b3sum --num-threads 1 and 10 × casync make',
  programs: ['b3sum', 'casync', 'nbdcopy'],
  needsRoot: false,
  rounds: 5,
  async run({ folder, smoke, rounds }) {
    const sizeBytes = (smoke ? 64 : 2048) * 2 ** 20;
    const image = join(folder, 'image.raw');
    const dataBytes = await writeImage(image, { sizeBytes, seed: 2, zeroShare: ZERO_SHARE, holes: false });
    const host = new AgentHost({ stateDir: join(folder, 'state') });
    await host.start();
    const mibPerSecond = (elapsedMs: number): number => sizeBytes / 2 ** 20 / (elapsedMs / 1000);
    const values = await interleave(rounds, {
      diskswarm: async (round) => {
        const startedMs = performance.now();
        const info = await host.import(image, `bench${round}`);
        const elapsedMs = performance.now() - startedMs;
        check(info.importedBytes === dataBytes, `imported ${info.importedBytes} bytes of ${dataBytes}`);
        if (round === 0) await checkContent(host, folder, image);
        await host.call('disk.rm', { name: `bench${round}`, force: true });
        return mibPerSecond(elapsedMs);
      },
      'b3sum, one thread': async () => mibPerSecond((await run(['b3sum', '--num-threads', '1', image])).elapsedMs),
      'casync make': async (round) => {
        const store = join(folder, `casync${round}.castr`);
        const index = join(folder, `casync${round}.caibx`);
        const { elapsedMs } = await run(['casync', 'make', `--store=${store}`, index, image]);
        await rm(store, { recursive: true });
        return mibPerSecond(elapsedMs);
      },
    });
    const of = (subject: Subject): Series => ({
      ...{ subject, measure: 'image read per second', unit: 'MiB/s', values: values[subject] },
    });
    const kind = 'at least' as const;
    return {
      series: SUBJECTS.map(of),
      figures: [
        ratioFigure('import, against b3sum on one thread', of('diskswarm'), of('b3sum, one thread'), {
          kind,
          value: 0.8,
        }),
        ratioFigure('import, against casync make', of('diskswarm'), of('casync make'), { kind, value: 10 }),
      ],
      checks: [
        'the first import copied out over NBD and compared with the image',
        'each import found as many bytes of data as the image has',
      ],
      notes: [
        'The zeros are written, so that all three read the same bytes: our import would pass over holes without a look.',
        'Ours ends with chunks, manifest and generation synced; b3sum stores nothing; casync compresses and does not sync.',
        'Measured at the control socket: the command line adds its own start and the opening of the owner key.',
      ],
    };
  },
};

async function checkContent(host: AgentHost, folder: string, image: string): Promise<void> {
  const uri = await host.attach('bench0', { readOnly: true });
  await checkExport(uri, image, join(folder, 'copy.raw'), 'what was imported is not what the image holds');
  await host.call('disk.detach', { name: 'bench0' });
}
