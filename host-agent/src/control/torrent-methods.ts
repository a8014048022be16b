/** What the CLI can ask about torrents that are given away; the rest of the methods, and what holds of all, is in methods.ts. */
import type { Progress } from './methods.ts';

/** A generation that is given to everyone as a torrent. */
export interface TorrentInfo {
  readonly name: string;
  readonly sequence: number;
  readonly infoHash: string;
  readonly magnet: string;
  readonly sizeBytes: number;
  readonly pieceSizeBytes: number;
}

/** method → [parameters, result, events before the result]. */
export interface TorrentMethods {
  /** Gives a generation to everyone as a torrent; `path` is where its .torrent file goes, null for nowhere. */
  'torrent.give': [
    { name: string; sequence: number | null; trackers: string[]; path: string | null },
    TorrentInfo & { path: string | null },
    Progress,
  ];
  'torrent.end': [
    { name: string; sequence: number | null },
    { name: string; sequence: number; stopped: boolean },
    never,
  ];
  'torrent.ls': [
    Record<string, never>,
    { torrents: (TorrentInfo & { peers: number; uploadedBytes: number })[] },
    never,
  ];
}
