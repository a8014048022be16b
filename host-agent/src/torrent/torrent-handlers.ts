/** What the control socket is asked about torrents, carried out. */
import path from 'node:path';
import type { Agent } from '../agent/agent.ts';
import { progressMeter } from '../agent/disk-status.ts';
import type { ControlHandlers } from '../control/server.ts';
import type { TorrentInfo } from '../control/torrent-methods.ts';
import { writeWhole } from './torrent-files.ts';
import type { SeededTorrent, TorrentSeeds } from './torrent-seeds.ts';

type TorrentHandlers = Pick<ControlHandlers, Extract<keyof ControlHandlers, `torrent.${string}`>>;

/** `removeDisk` is the handler of `disk.rm`: what was given of a disk is given no more when it is gone. */
export function torrentHandlers(
  agent: Agent,
  seeds: TorrentSeeds,
  removeDisk: ControlHandlers['disk.rm'],
): TorrentHandlers & Pick<ControlHandlers, 'disk.rm'> {
  return {
    'torrent.give': async ({ name, sequence, trackers, path: file }, { signal, emit }) => {
      const disk = agent.disk(name);
      const generation = disk.templates.generationAt(sequence);
      const onProgress = progressMeter(agent.env.clock, generation.sizeBytes, emit);
      const torrent = await seeds.give({ disk, generation, trackers }, { signal, onProgress });
      if (file !== null) await writeWhole(path.resolve(file), torrent.metainfo, 0o644);
      return { ...torrentInfo(torrent), path: file };
    },
    'torrent.end': async ({ name, sequence }) => {
      const disk = agent.disk(name);
      const generation = disk.templates.generationAt(sequence);
      return { name, sequence: generation.sequence, stopped: await seeds.end(disk, generation) };
    },
    'torrent.ls': async () => ({
      torrents: (await seeds.list()).map((torrent) => ({
        ...torrentInfo(torrent),
        peers: torrent.peers,
        uploadedBytes: torrent.uploadedBytes,
      })),
    }),
    'disk.rm': async (params, options) => {
      const result = await removeDisk(params, options);
      await seeds.prune();
      return result;
    },
  };
}

function torrentInfo({ disk, generation, infoHash, magnet, sizeBytes, pieceBytes }: SeededTorrent): TorrentInfo {
  return { name: disk.name, sequence: generation.sequence, infoHash, magnet, sizeBytes, pieceSizeBytes: pieceBytes };
}
