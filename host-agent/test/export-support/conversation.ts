/** A raw NBD client with simple replies, for what real clients never do: stop reading, half-close, die. */
import { once } from 'node:events';
import net from 'node:net';
import type { ExecutionContext } from 'ava';

export interface RawRequest {
  readonly command: number;
  readonly cookie?: bigint;
  readonly offset?: number;
  readonly length?: number;
  readonly data?: Uint8Array;
}

export interface RawReply {
  readonly errno: number;
  readonly data: Uint8Array;
}

interface Pending {
  readonly readBytes: number;
  resolve(reply: RawReply): void;
}

export class Conversation {
  readonly socket: net.Socket;
  readonly closed: Promise<unknown>;
  readonly #pending = new Map<bigint, Pending>();
  #parts: Buffer[] = [];
  #bytes = 0;
  #cookie = 1000n;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = once(socket, 'close');
    socket.on('error', () => {});
  }

  /** Connects and enters transmission on the export. */
  static async open(t: ExecutionContext, socketPath: string, name: string): Promise<Conversation> {
    const socket = net.connect({ path: socketPath, allowHalfOpen: true });
    t.teardown(() => socket.destroy());
    const conversation = new Conversation(socket);
    const hello = new DataView(new ArrayBuffer(20));
    hello.setUint32(0, 3);
    hello.setBigUint64(4, 0x49484156454f5054n);
    hello.setUint32(12, 1);
    hello.setUint32(16, Buffer.byteLength(name));
    socket.write(new Uint8Array(hello.buffer));
    socket.write(name);
    let greeted = 0;
    // The greeting and the answer to EXPORT_NAME without zeroes.
    while (greeted < 28) greeted += ((await once(socket, 'data')) as [Buffer])[0].length;
    socket.on('data', (bytes) => conversation.#take(bytes as Buffer));
    socket.on('end', () => socket.end());
    return conversation;
  }

  send({ command, cookie = 0n, offset = 0, length, data = new Uint8Array(0) }: RawRequest): void {
    const header = new DataView(new ArrayBuffer(28));
    header.setUint32(0, 0x25609513);
    header.setUint16(6, command);
    header.setBigUint64(8, cookie);
    header.setBigUint64(16, BigInt(offset));
    header.setUint32(24, length ?? data.length);
    this.socket.write(Buffer.concat([new Uint8Array(header.buffer), data]));
  }

  /** Sends and resolves with the reply. */
  request(request: RawRequest): Promise<RawReply> {
    this.#cookie += 1n;
    const cookie = this.#cookie;
    return new Promise((resolve) => {
      this.#pending.set(cookie, { readBytes: request.command === 0 ? (request.length ?? 0) : 0, resolve });
      this.send({ ...request, cookie });
    });
  }

  #take(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    while (this.#bytes >= 16) {
      if (this.#parts[0]!.length < 16) this.#parts = [Buffer.concat(this.#parts)];
      const head = this.#parts[0]!;
      const errno = head.readUInt32BE(4);
      const pending = this.#pending.get(head.readBigUInt64BE(8));
      const size = 16 + (errno === 0 ? (pending?.readBytes ?? 0) : 0);
      if (this.#bytes < size) return;
      const all = Buffer.concat(this.#parts);
      this.#parts = [all.subarray(size)];
      this.#bytes -= size;
      pending?.resolve({ errno, data: all.subarray(16, size) });
    }
  }
}
