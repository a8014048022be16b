/** Bounds of what is read from torrents and magnet links; docs/LIMITS.md lists them. */
import { KIB, MIB } from '@diskswarm/core';

/** Bytes of a .torrent file, or of the metadata that peers send for a magnet link. */
export const MAX_METAINFO_BYTES = 16 * MIB;
/** Values in one, its hashes counted as one. */
export const MAX_METAINFO_VALUES = 200_000;
/** Nesting of lists and dictionaries: a tree of files is as deep as its paths are long. */
export const MAX_METAINFO_DEPTH = 40;
/** Files of one torrent, padding included. */
export const MAX_TORRENT_FILES = 20_000;
/** Parts of one path. */
export const MAX_PATH_PARTS = 32;
/** Bytes of one part of a path. */
export const MAX_PATH_PART_BYTES = 255;
/** Pieces of one torrent: 10 MiB of hashes. */
export const MAX_TORRENT_PIECES = 2 ** 19;
/** A piece is kept in memory until its hash is known. */
export const MAX_TORRENT_PIECE_BYTES = 32 * MIB;
/** Smallest piece that is taken. */
export const MIN_TORRENT_PIECE_BYTES = 16 * KIB;
/** Trackers taken from a torrent or link; more are ignored. */
export const MAX_TORRENT_TRACKERS = 16;
/** Characters of one of them; a longer one is ignored. */
export const MAX_TRACKER_CHARS = 1024;
/** Addresses of peers taken from a link; more are ignored. */
export const MAX_MAGNET_PEERS = 16;
/** Characters of a link. */
export const MAX_MAGNET_CHARS = 4096;
