/**
 * An NBD client that can be asked to misbehave: any command, flag, range and payload, several in flight, and every error told.
 *
 * Fixed newstyle with NBD_OPT_GO and simple replies (doc/proto.md of NetworkBlockDevice/nbd). Shares nothing with the server
 * under test but the protocol's numbers.
 */
import net from 'node:net';

export const CMD = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;
export const FLAG = { fua: 1 } as const;
/** Error numbers of the protocol. */
export const ERRNO = { ok: 0, perm: 1, io: 5, inval: 22, nospc: 28, notsup: 95, shutdown: 108 } as const;

const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const OPTION_MAGIC = Buffer.from('IHAVEOPT');

/** The answer to a request. */
export interface Reply {
  readonly errno: number;
  readonly data: Buffer;
}

interface Waiting {
  readonly bytes: number;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** A request as it goes over the wire. */
export function requestBytes(
  command: number,
  cookie: number,
  offset: number | bigint,
  length: number,
  flags = 0,
): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(cookie), 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

export class NbdClient {
  readonly socket: net.Socket;
  readonly #waiting = new Map<number, Waiting>();
  #input = Buffer.alloc(0);
  #wake: () => void = () => {};
  #ended: Error | null = null;
  #cookie = 0;
  sizeBytes = 0;
  /** Transmission flags. */
  flags = 0;

  private constructor(socketPath: string) {
    this.socket = net.connect(socketPath);
    this.socket.on('data', (bytes) => {
      this.#input = Buffer.concat([this.#input, bytes]);
      this.#wake();
    });
    const end = (error: Error): void => {
      this.#ended ??= error;
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
      this.#waiting.clear();
      this.#wake();
    };
    this.socket.on('error', end);
    this.socket.on('close', () => end(new Error('the server hung up')));
  }

  static async connect(socketPath: string, exportName: string): Promise<NbdClient> {
    const client = new NbdClient(socketPath);
    await client.#negotiate(exportName);
    void client.#receive().catch((error: Error) => client.socket.destroy(error));
    return client;
  }

  /** Resolves with the error when the connection ends. */
  get ended(): Promise<Error> {
    if (this.#ended !== null) return Promise.resolve(this.#ended);
    return new Promise((resolve) => this.socket.once('close', () => resolve(this.#ended!)));
  }

  /** Sends a request and waits for its answer; rejects when the connection ends first. */
  request(
    command: number,
    offset: number | bigint,
    length: number,
    options: { payload?: Uint8Array; flags?: number } = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      const cookie = ++this.#cookie;
      this.#waiting.set(cookie, { bytes: command === CMD.read ? length : 0, resolve, reject });
      this.socket.write(requestBytes(command, cookie, offset, length, options.flags));
      if (options.payload !== undefined) this.socket.write(options.payload);
    });
  }

  /** The error number of a write. */
  async write(offset: number, payload: Uint8Array, flags = 0): Promise<number> {
    return (await this.request(CMD.write, offset, payload.length, { payload, flags })).errno;
  }

  async flush(): Promise<number> {
    return (await this.request(CMD.flush, 0, 0)).errno;
  }

  /** Bytes that must be readable. */
  async read(offset: number, length: number): Promise<Buffer> {
    const { errno, data } = await this.request(CMD.read, offset, length);
    if (errno !== 0) throw new Error(`reading ${length} bytes at ${offset}: errno ${errno}`);
    return data;
  }

  /** Says good-bye and waits until the server has hung up. */
  async close(): Promise<void> {
    this.socket.end(requestBytes(CMD.disconnect, 0, 0, 0));
    await this.ended;
  }

  /** Goes away without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  async #receive(): Promise<void> {
    for (;;) {
      const head = await this.#take(16);
      if (head.readUInt32BE(0) !== REPLY_MAGIC) throw new Error('no simple reply');
      const cookie = Number(head.readBigUInt64BE(8));
      const waiting = this.#waiting.get(cookie);
      if (waiting === undefined) throw new Error(`a reply to nothing: ${cookie}`);
      const errno = head.readUInt32BE(4);
      const data = errno === 0 ? await this.#take(waiting.bytes) : Buffer.alloc(0);
      this.#waiting.delete(cookie);
      waiting.resolve({ errno, data });
    }
  }

  async #negotiate(exportName: string): Promise<void> {
    const greeting = await this.#take(18);
    if (greeting.toString('latin1', 0, 8) !== 'NBDMAGIC') throw new Error('no NBD server');
    const name = Buffer.from(exportName);
    const head = Buffer.alloc(4 + 8 + 4 + 4 + 4);
    head.writeUInt32BE(3, 0);
    OPTION_MAGIC.copy(head, 4);
    head.writeUInt32BE(7, 12);
    head.writeUInt32BE(4 + name.length + 2, 16);
    head.writeUInt32BE(name.length, 20);
    this.socket.write(Buffer.concat([head, name, Buffer.alloc(2)]));
    for (;;) {
      const reply = await this.#take(20);
      const type = reply.readUInt32BE(12);
      const data = await this.#take(reply.readUInt32BE(16));
      if (type === 1) return;
      if (type !== 3) throw new Error(`the export "${exportName}" was refused: ${type.toString(16)} ${data}`);
      if (data.readUInt16BE(0) !== 0) continue;
      this.sizeBytes = Number(data.readBigUInt64BE(2));
      this.flags = data.readUInt16BE(10);
    }
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#input.length < length) {
      if (this.#ended !== null) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return taken;
  }
}

/** Bytes that differ at every place and for every seed, so that nothing can be mistaken for something else. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}
