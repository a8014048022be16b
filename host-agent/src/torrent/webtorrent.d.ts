/** What is used of webtorrent, which brings no types of its own. */
declare module 'webtorrent' {
  import type { EventEmitter } from 'node:events';

  export interface Torrent extends EventEmitter {
    readonly infoHash: string;
    readonly torrentFile: Uint8Array;
    readonly numPeers: number;
    readonly uploaded: number;
    select(firstPiece: number, lastPiece: number, priority: number): void;
    destroy(done?: () => void): void;
  }

  export default class WebTorrent extends EventEmitter {
    constructor(options: object);
    readonly torrentPort: number;
    add(torrent: Uint8Array | string, options: object): Torrent;
    destroy(done: () => void): void;
  }
}
