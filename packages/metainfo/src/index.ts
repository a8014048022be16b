/**
 * @module metainfo
 * Standard torrents as files and links: metainfo of version 1 and hybrids (BEP 3, 47, 52), magnet links (BEP 9), and the hash tree of a file.
 *
 * Everything that comes from outside is checked in full before anybody acts on it. Peers, trackers and bytes are left to the host agent.
 *
 * @example
 * const torrent = parseMetainfo(await readFile('debian.torrent'));
 * const { offsetBytes, lengthBytes } = chooseFile(torrent, null);
 */
export { MAX_METAINFO_BYTES, MAX_TORRENT_TRACKERS } from './limits.ts';
export { formatMagnet, isTracker, type Magnet, parseMagnet } from './magnet.ts';
export { MerkleRoot } from './merkle-root.ts';
export {
  chooseFile,
  encodeMetainfo,
  type Metainfo,
  parseInfo,
  parseMetainfo,
  pieceBytesFor,
  strippedMetainfo,
  type TorrentFile,
} from './metainfo.ts';
