/**
 * A small NBD client for one export over a Unix socket: read, write, flush, one request at a time.
 *
 * Fixed newstyle with NBD_OPT_GO and simple replies (doc/proto.md of NetworkBlockDevice/nbd). It is the replay's QEMU: it shares
 * nothing with the server under test but the protocol's numbers. Replies are bounded by what was asked for.
 */
import net from 'node:net';
import { DiskswarmError } from '@diskswarm/core';
import { parseNbdUri } from '@diskswarm/guest';
import {
  COMMAND,
  HANDSHAKE_FLAG,
  INFO,
  MAGIC,
  OPTION,
  OPTION_REPLY,
  REQUEST_BYTES,
  SIMPLE_REPLY_BYTES,
} from '@diskswarm/nbd';

const GREETING_BYTES = 18;
const OPTION_REPLY_BYTES = 20;
const MAX_OPTION_DATA_BYTES = 4096;
/** A server may refuse more than this (doc/proto.md, "Block sizes"). */
const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

export class NbdClient {
  readonly #socket: net.Socket;
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  #cookie = 0;
  /** Size of the export, in bytes. */
  sizeBytes = 0;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#buffered.push(bytes);
      this.#bufferedBytes += bytes.length;
      if (this.#bufferedBytes > MAX_REQUEST_BYTES + SIMPLE_REPLY_BYTES)
        socket.destroy(broken('more than was asked for'));
      this.#wake?.();
    });
    const end = (error?: Error): void => {
      this.#failure ??= error ?? new DiskswarmError('PEER_UNREACHABLE', 'the NBD server closed the connection');
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('close', () => end());
  }

  /** Connects to the export that `uri` (nbd+unix) names. @throws DiskswarmError PROTOCOL_ERROR, PEER_UNREACHABLE */
  static async connect(uri: string): Promise<NbdClient> {
    const target = parseNbdUri(uri);
    if (!('socket' in target)) throw new DiskswarmError('INVALID_ARGUMENT', `not a Unix socket: ${uri}`);
    const client = new NbdClient(net.connect(target.socket));
    try {
      await client.#negotiate(target.exportName);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Reads `lengthBytes` at `offsetBytes`; the caller owns the array. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    await this.#request(COMMAND.read, offsetBytes, lengthBytes);
    return this.#take(lengthBytes);
  }

  /** Writes `bytes` at `offsetBytes`. */
  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    await this.#request(COMMAND.write, offsetBytes, bytes.length, bytes);
  }

  /** Makes everything written so far durable. */
  async flush(): Promise<void> {
    await this.#request(COMMAND.flush, 0, 0);
  }

  /** Says good-bye and closes. */
  close(): void {
    if (!this.#socket.destroyed && this.sizeBytes > 0) this.#socket.end(requestBytes(COMMAND.disconnect, 0, 0, 0));
    else this.#socket.destroy();
  }

  async #request(command: number, offset: number, length: number, payload?: Uint8Array): Promise<void> {
    if (length > MAX_REQUEST_BYTES) throw new DiskswarmError('LIMIT_EXCEEDED', `${length} bytes in one NBD request`);
    const cookie = ++this.#cookie;
    this.#socket.write(requestBytes(command, cookie, offset, length));
    if (payload !== undefined) this.#socket.write(payload);
    const reply = await this.#take(SIMPLE_REPLY_BYTES);
    if (reply.readUInt32BE(0) !== MAGIC.simpleReply || reply.readUInt32BE(12) !== cookie) throw broken('not our reply');
    const error = reply.readUInt32BE(4);
    if (error !== 0) {
      throw new DiskswarmError('READ_FAILED', `NBD command ${command} at ${offset} failed with error ${error}`, {
        data: { errno: error },
      });
    }
  }

  async #negotiate(exportName: string): Promise<void> {
    const greeting = await this.#take(GREETING_BYTES);
    const isNbd = greeting.readUInt32BE(0) === MAGIC.nbdHigh && greeting.readUInt32BE(8) === MAGIC.optionHigh;
    if (!isNbd || (greeting.readUInt16BE(16) & HANDSHAKE_FLAG.fixedNewstyle) === 0)
      throw broken('no fixed newstyle server');
    const name = Buffer.from(exportName);
    const go = Buffer.alloc(4 + 16 + 4 + name.length + 2);
    go.writeUInt32BE(HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes, 0);
    go.writeUInt32BE(MAGIC.optionHigh, 4);
    go.writeUInt32BE(MAGIC.optionLow, 8);
    go.writeUInt32BE(OPTION.go, 12);
    go.writeUInt32BE(4 + name.length + 2, 16);
    go.writeUInt32BE(name.length, 20);
    name.copy(go, 24);
    this.#socket.write(go);
    for (;;) {
      const head = await this.#take(OPTION_REPLY_BYTES);
      const type = head.readUInt32BE(12);
      const length = head.readUInt32BE(16);
      if (head.readUInt32BE(0) !== MAGIC.optionReplyHigh || length > MAX_OPTION_DATA_BYTES)
        throw broken('no option reply');
      const data = await this.#take(length);
      if (type === OPTION_REPLY.ack) break;
      if (type !== OPTION_REPLY.info) throw broken(`the export "${exportName}" was refused (${type.toString(16)})`);
      if (length >= 10 && data.readUInt16BE(0) === INFO.export) this.sizeBytes = Number(data.readBigUInt64BE(2));
    }
    if (this.sizeBytes === 0) throw broken('the server did not say how large the export is');
  }

  /** The next `length` bytes of the stream. */
  async #take(length: number): Promise<Buffer> {
    while (this.#bufferedBytes < length) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = this.#buffered.length === 1 ? (this.#buffered[0] as Buffer) : Buffer.concat(this.#buffered);
    this.#buffered = length < all.length ? [all.subarray(length)] : [];
    this.#bufferedBytes = all.length - length;
    return all.subarray(0, length);
  }
}

function requestBytes(command: number, cookie: number, offset: number, length: number): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32BE(MAGIC.request, 0);
  request.writeUInt16BE(command, 6);
  request.writeUInt32BE(cookie, 12);
  request.writeBigUInt64BE(BigInt(offset), 16);
  request.writeUInt32BE(length, 24);
  return request;
}

function broken(what: string): DiskswarmError {
  return new DiskswarmError('PROTOCOL_ERROR', `the NBD server does not speak as it should: ${what}`);
}
