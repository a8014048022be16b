/**
 * The replies of the handshake. They are small and rare: each is an array of its own.
 *
 * Source: "Fixed newstyle negotiation", "Option reply types", "NBD_REP_INFO".
 */
import { HANDSHAKE_FLAG, INFO, MAGIC, OPTION_REPLY } from './constants.ts';
import { BLOCK_SIZE } from './limits.ts';
import type { ExportHandle } from './ports.ts';

const encoder = new TextEncoder();

/** What the server says first. */
export function greeting(): Uint8Array {
  const view = new DataView(new ArrayBuffer(18));
  view.setUint32(0, MAGIC.nbdHigh);
  view.setUint32(4, MAGIC.nbdLow);
  view.setUint32(8, MAGIC.optionHigh);
  view.setUint32(12, MAGIC.optionLow);
  view.setUint16(16, HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes);
  return new Uint8Array(view.buffer);
}

/** One reply to an option. */
export function optionReply(option: number, type: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(20 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC.optionReplyHigh);
  view.setUint32(4, MAGIC.optionReplyLow);
  view.setUint32(8, option);
  view.setUint32(12, type);
  view.setUint32(16, data.length);
  bytes.set(data, 20);
  return bytes;
}

/** An error reply with a message for people. */
export function optionError(option: number, type: number, message: string): Uint8Array {
  return optionReply(option, type, encoder.encode(message));
}

/** The answer to EXPORT_NAME: size, flags, and 124 zeros unless the client declined them. */
export function exportNameReply(sizeBytes: number, flags: number, zeroes: boolean): Uint8Array {
  const bytes = new Uint8Array(zeroes ? 134 : 10);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sizeBytes));
  view.setUint16(8, flags);
  return bytes;
}

/** NBD_REP_SERVER for LIST. */
export function serverReply(option: number, handle: ExportHandle): Uint8Array {
  const name = encoder.encode(handle.name);
  const description = encoder.encode(handle.description);
  const data = new Uint8Array(4 + name.length + description.length);
  new DataView(data.buffer).setUint32(0, name.length);
  data.set(name, 4);
  data.set(description, 4 + name.length);
  return optionReply(option, OPTION_REPLY.server, data);
}

/** NBD_INFO_EXPORT and those of NAME, DESCRIPTION and BLOCK_SIZE that were asked for. */
export function infoReplies(
  option: number,
  handle: ExportHandle,
  flags: number,
  wanted: readonly number[],
): Uint8Array[] {
  const size = new DataView(new ArrayBuffer(10));
  size.setBigUint64(0, BigInt(handle.backing.sizeBytes));
  size.setUint16(8, flags);
  const replies = [infoReply(option, INFO.export, new Uint8Array(size.buffer))];
  if (wanted.includes(INFO.name)) replies.push(infoReply(option, INFO.name, encoder.encode(handle.name)));
  if (wanted.includes(INFO.description)) {
    replies.push(infoReply(option, INFO.description, encoder.encode(handle.description)));
  }
  if (wanted.includes(INFO.blockSize)) {
    const sizes = new DataView(new ArrayBuffer(12));
    sizes.setUint32(0, BLOCK_SIZE.minBytes);
    sizes.setUint32(4, BLOCK_SIZE.preferredBytes);
    sizes.setUint32(8, BLOCK_SIZE.maxBytes);
    replies.push(infoReply(option, INFO.blockSize, new Uint8Array(sizes.buffer)));
  }
  return replies;
}

/** NBD_REP_META_CONTEXT. */
export function metaContextReply(option: number, id: number, name: string): Uint8Array {
  const text = encoder.encode(name);
  const data = new Uint8Array(4 + text.length);
  new DataView(data.buffer).setUint32(0, id);
  data.set(text, 4);
  return optionReply(option, OPTION_REPLY.metaContext, data);
}

function infoReply(option: number, type: number, payload: Uint8Array): Uint8Array {
  const data = new Uint8Array(2 + payload.length);
  new DataView(data.buffer).setUint16(0, type);
  data.set(payload, 2);
  return optionReply(option, OPTION_REPLY.info, data);
}
