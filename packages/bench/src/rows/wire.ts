/** Agent to agent over loopback beside our own plain wire, aria2c to aria2c, and nbdcopy over TLS. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import { copyOut } from '../hosts/nbd-servers.ts';
import { startTlsCopy } from '../hosts/nbd-tls.ts';
import { TorrentSwarm } from '../hosts/torrent.ts';
import { hashFile, writeImage } from '../image.ts';
import { interleave } from '../interleave.ts';
import { check, type Row, ratioFigure, type Series } from '../row.ts';

const SUBJECTS = ['diskswarm', 'our plain wire', 'aria2c to aria2c', 'nbdcopy over TLS'] as const;
type Subject = (typeof SUBJECTS)[number];

export const wire: Row = {
  name: 'wire',
  title: 'Agent to agent over loopback, encrypted, verified and stored',
  target: 'at least 0.7 × our own plain wire, 2 × aria2c to aria2c, 1.5 × nbdcopy over TLS',
  programs: ['aria2c', 'nbdkit', 'nbdcopy', 'openssl'],
  needsRoot: false,
  rounds: 7,
  async run({ folder, smoke, rounds, log }) {
    const sizeBytes = (smoke ? 32 : 512) * 2 ** 20;
    const image = join(folder, 'image.raw');
    await writeImage(image, { sizeBytes, seed: 3, zeroShare: 0, holes: false });
    const expected = await hashFile(image);
    const pairs = {
      tls: await startPair(join(folder, 'tls'), image, 'tls'),
      plain: await startPair(join(folder, 'plain'), image, 'plain'),
    };
    const torrents = new TorrentSwarm(join(folder, 'torrent'), image);
    await torrents.start();
    const copyOverTls = await startTlsCopy(join(folder, 'nbd'), image);
    const first = smoke ? 0 : -1;
    const mibPerSecond = (elapsedMs: number): number => sizeBytes / 2 ** 20 / (elapsedMs / 1000);
    const pull = async (pair: HostPair, round: number): Promise<number> => {
      const elapsedMs = await pullOnce(pair);
      if (round === first) {
        const copy = join(folder, 'copy.raw');
        await copyOut(await pair.to.attach('bench', { readOnly: true }), copy);
        check((await hashFile(copy)) === expected, 'what was pulled is not what the image holds');
        await rm(copy);
        await pair.to.call('disk.detach', { name: 'bench' });
      }
      log(`${Math.round(mibPerSecond(elapsedMs))} MiB/s`);
      return mibPerSecond(elapsedMs);
    };
    const values = await interleave(
      rounds,
      {
        diskswarm: (round) => pull(pairs.tls, round),
        'our plain wire': (round) => pull(pairs.plain, round),
        'aria2c to aria2c': async (round) => {
          const { bytesPerSecond, file } = await torrents.download();
          if (round === first) check((await hashFile(file)) === expected, 'aria2c downloaded something else');
          return bytesPerSecond / 2 ** 20;
        },
        'nbdcopy over TLS': async (round) => {
          const target = join(folder, 'nbdcopy.raw');
          const elapsedMs = await copyOverTls(target);
          if (round === first) check((await hashFile(target)) === expected, 'nbdcopy copied something else');
          await rm(target);
          return mibPerSecond(elapsedMs);
        },
      },
      { warmUp: !smoke },
    );
    const of = (subject: Subject): Series => ({
      ...{
        subject,
        measure: `a disk of ${sizeBytes / 2 ** 20} MiB without zeros`,
        unit: 'MiB/s',
        values: values[subject],
      },
    });
    const kind = 'at least' as const;
    return {
      series: SUBJECTS.map(of),
      figures: [
        ratioFigure('agent to agent, against our own plain wire', of('diskswarm'), of('our plain wire'), {
          kind,
          value: 0.7,
        }),
        ratioFigure('agent to agent, against aria2c to aria2c', of('diskswarm'), of('aria2c to aria2c'), {
          kind,
          value: 2,
        }),
        ratioFigure('agent to agent, against nbdcopy over TLS', of('diskswarm'), of('nbdcopy over TLS'), {
          kind,
          value: 1.5,
        }),
      ],
      checks: ['the first copy of each subject compared with the image'],
      notes: [
        'A round to warm up is not counted.',
        'Ours: from the request to pull until every chunk is verified, stored and synced, sessions being open already.',
        'Our plain wire is the same agent over the unencrypted transport that exists for this comparison alone.',
        "aria2c verifies (SHA-1) but encrypts nothing; its figure is its own average, without its start. It meets its seed at diskswarm's tracker.",
        'nbdcopy over TLS encrypts but verifies nothing; its figure is the whole process.',
      ],
    };
  },
};

/** Two hosts, the disk `bench` on the first. */
export interface HostPair {
  readonly from: AgentHost;
  readonly to: AgentHost;
}

/** Starts two hosts, the first with the image as the disk `bench`. */
export async function startPair(folder: string, image: string, kind: 'tls' | 'plain'): Promise<HostPair> {
  const from = new AgentHost({ stateDir: join(folder, 'from'), wire: kind });
  const to = new AgentHost({ stateDir: join(folder, 'to'), wire: kind });
  await from.start();
  await to.start();
  await from.import(image, 'bench');
  return { from, to };
}

/** Joins the disk afresh and pulls all of it; how long the pull took. */
export async function pullOnce({ from, to }: HostPair): Promise<number> {
  const known = (await to.call('disk.ls', {})).disks.some(({ name }) => name === 'bench');
  if (known) await to.call('disk.rm', { name: 'bench', force: true });
  await from.invite(to, 'bench');
  const startedMs = performance.now();
  const info = await to.call('disk.pull', { name: 'bench' });
  check(info.piecesPresent + info.piecesZero === info.piecesTotal, 'the pull ended before everything was there');
  return performance.now() - startedMs;
}
