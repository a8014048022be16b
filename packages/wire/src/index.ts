/**
 * @module wire
 * Framer, messages and extensions of the peer wire: what bytes on a lane mean, and the bound of each (design D8, D12).
 *
 * A lane carries frames of channels ([u16 channel][u16 length - 1][at most 16 KiB]). Channel 0 speaks of the lane itself;
 * every other channel is a BitTorrent conversation about one disk. Leaves to others: connections, proofs and sessions
 * (swarm), what to ask and whom (scheduler), whether records and chunks are true (identity, manifest, chunk).
 *
 * ```ts
 * const writer = new FrameWriter(connection, { maxInSinkBytes: 128 * KIB });
 * const channel = new BittorrentChannel(options, { send: (views, piece) => writer.enqueue(1, views, piece), ...handlers });
 * const parser = new FrameParser((number, bytes) => channels.get(number)?.receive(bytes));
 * channel.open();
 * ```
 */
export * from './bittorrent-channel.ts';
export * from './chunk-buffers.ts';
export * from './delta.ts';
export * from './extension-messages.ts';
export * from './frame-parser.ts';
export * from './frame-writer.ts';
export * from './lane-control.ts';
export * from './lane-hello.ts';
export * from './limits.ts';
export * from './message-framer.ts';
export * from './packed-piece.ts';
export * from './piece-spaces.ts';
export * from './stream-messages.ts';
export { compress } from './zstd.ts';
