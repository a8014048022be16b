/**
 * The threads of torrents: one that gives away what was made public here, and one for each torrent that is imported.
 *
 * A client of a foreign protocol speaks to strangers here, so whatever goes wrong in it, also a defect, ends the thread and nothing else; nor does its work
 * keep the agent's thread from guests.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { DiskswarmError, formatAddress, messageOf, parseAddress } from '@diskswarm/core';
import { chooseFile, parseMetainfo } from '@diskswarm/metainfo';
import { PortCalls } from '../attachment/port-calls.ts';
import { ScratchStore } from './scratch-store.ts';
import { SeedStore } from './seed-store.ts';
import type {
  FetchedFile,
  FetchOwnerCalls,
  FetchThreadOptions,
  SeedOwnerCalls,
  SeedThreadCalls,
  SeedThreadOptions,
} from './thread-protocol.ts';
import { WebGatewayProcess } from './web-gateway-process.ts';
import { isWebTracker } from './web-gateway-protocol.ts';
import { type Torrent, TorrentClient } from './webtorrent-client.ts';

const port = parentPort;
if (port === null) throw new Error('torrent-thread.ts runs as a thread of the agent');
const options = workerData as SeedThreadOptions | FetchThreadOptions;

async function seed({ listen, limited }: SeedThreadOptions): Promise<void> {
  const client = await TorrentClient.start({ listen, dht: false });
  const torrents = new Map<string, Torrent>();
  /** Info hash → the trackers where browsers meet. */
  const web = new Map<string, readonly string[]>();
  const gateway = new WebGatewayProcess();
  const { host } = parseAddress(listen);
  const updateGateway = (): void =>
    gateway.update({
      listen: formatAddress(host, client.port),
      torrents: [...web].map(([infoHash, trackers]) => ({ infoHash, trackers })),
    });
  const calls: SeedThreadCalls = {
    port: () => client.port,
    add: ({ infoHash, metainfo, sizeBytes, pieceBytes }) => {
      const store = new SeedStore({
        sizeBytes,
        pieceBytes,
        read: (offsetBytes, lengthBytes) => owner.call('read', { infoHash, offsetBytes, lengthBytes }),
        spend: async (lengthBytes) => {
          if (limited) await owner.call('spend', lengthBytes);
        },
      });
      const torrent = client.seed(metainfo, store);
      torrents.set(infoHash, torrent);
      const trackers = parseMetainfo(metainfo).trackers.filter(isWebTracker);
      if (trackers.length > 0) {
        web.set(infoHash, trackers);
        updateGateway();
      }
      return new Promise((resolve, reject) => {
        torrent.once('ready', resolve);
        torrent.on('error', (error: Error) => {
          torrents.delete(infoHash);
          if (web.delete(infoHash)) updateGateway();
          reject(error);
        });
        torrent.on('warning', () => {}); // A tracker that does not answer is asked again.
      });
    },
    remove: async (infoHash) => {
      if (web.delete(infoHash)) updateGateway();
      const torrent = torrents.get(infoHash);
      if (torrents.delete(infoHash)) await new Promise<void>((resolve) => torrent?.destroy(resolve));
    },
    status: () =>
      [...torrents].map(([infoHash, { numPeers, uploaded }]) => ({
        infoHash,
        peers: numPeers,
        uploadedBytes: uploaded,
      })),
  };
  const owner = new PortCalls<SeedOwnerCalls>(port!, calls);
  await owner.call('ready', null);
}

async function fetchFile({ listen, torrent, infoHash, file, scratch, dht }: FetchThreadOptions): Promise<void> {
  const owner = new PortCalls<FetchOwnerCalls>(port!, {});
  const failed = (error: unknown): void => {
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    const code =
      error instanceof DiskswarmError && error.code === 'TORRENT_INVALID' ? error.code : 'EXTERNAL_TOOL_FAILED';
    owner.tell('failed', { code: full ? 'DISK_FULL' : code, message: messageOf(error) });
  };
  const handle = await open(scratch, constants.O_RDWR | constants.O_CREAT, 0o600);
  const { size } = await handle.stat();
  const client = await TorrentClient.start({ listen, dht });
  let chosen: FetchedFile | null = null;
  const fetched = client.fetch(torrent, ({ torrentFile }) => {
    try {
      const metainfo = parseMetainfo(torrentFile);
      if (metainfo.infoHash !== infoHash)
        throw new DiskswarmError('TORRENT_INVALID', 'the torrent cannot be used: its metadata has another hash');
      chosen = { ...chooseFile(metainfo, file), pieceBytes: metainfo.pieceBytes };
    } catch (error) {
      failed(error);
    }
    return new ScratchStore(handle, chosen ?? { offsetBytes: 0, lengthBytes: 0, pieceBytes: 1, root: null }, size);
  });
  fetched.on('metadata', () => {
    if (chosen === null) return fetched.destroy();
    const { offsetBytes, lengthBytes, pieceBytes, root } = chosen;
    owner.tell('described', { offsetBytes, lengthBytes, pieceBytes, root });
    fetched.select(Math.floor(offsetBytes / pieceBytes), Math.ceil((offsetBytes + lengthBytes) / pieceBytes) - 1, 1);
  });
  fetched.on('verified', (piece: number) => owner.tell('verified', piece));
  fetched.on('error', failed);
  fetched.on('warning', () => {}); // A tracker that does not answer, a piece that was wrong: others are asked.
}

await (options.kind === 'seed' ? seed(options) : fetchFile(options));
