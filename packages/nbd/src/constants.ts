/**
 * The numbers of the NBD protocol as this server speaks it.
 *
 * Source: doc/proto.md of NetworkBlockDevice/nbd; the section a table comes from stands above it. All fields on the
 * wire are big-endian. 64-bit magics are kept as two 32-bit halves, because the hot path has no use for a BigInt.
 */

/** "Newstyle negotiation": NBDMAGIC, IHAVEOPT and the magic of option replies. */
export const MAGIC = {
  nbdHigh: 0x4e42444d,
  nbdLow: 0x41474943,
  optionHigh: 0x49484156,
  optionLow: 0x454f5054,
  optionReplyHigh: 0x0003e889,
  optionReplyLow: 0x045565a9,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

/** "Handshake flags" and "Client flags": the two share their bits. */
export const HANDSHAKE_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const;

/** "Option types". */
export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** "Option reply types". */
export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errorUnsupported: 0x80000001,
  errorPolicy: 0x80000002,
  errorInvalid: 0x80000003,
  errorUnknown: 0x80000006,
  errorTooBig: 0x80000009,
} as const;

/** Information types of NBD_REP_INFO. */
export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** "Transmission flags". */
export const EXPORT_FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

/** "Request types". */
export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** "Command flags". */
export const COMMAND_FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const;

/** "Structured reply flags" and "Structured reply types". */
export const REPLY_FLAG_DONE = 1;
export const REPLY_TYPE = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 0x8001 } as const;

/** "Error values". */
export const ERRNO = {
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;
export type Errno = (typeof ERRNO)[keyof typeof ERRNO];

/** Sizes of the fixed messages, in bytes. */
export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const STRUCTURED_HEADER_BYTES = 20;
/** A structured header and the offset of NBD_REPLY_TYPE_OFFSET_DATA. */
export const DATA_HEADER_BYTES = 28;
export const OPTION_HEADER_BYTES = 16;
