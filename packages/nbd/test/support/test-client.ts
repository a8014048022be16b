/**
 * The client's side of a session in one thread: builds messages by hand and takes replies apart, sharing no code with the server.
 */
import {
  type ExportHandle,
  NbdSession,
  type RequestCounter,
  type SessionLimits,
  type WriteGate,
} from '../../src/index.ts';
import type { MemoryBacking } from './memory-backing.ts';

export interface Reply {
  readonly cookie: bigint;
  readonly kind: 'simple' | 'structured';
  readonly errno: number;
  readonly done: boolean;
  readonly type: number;
  readonly payload: Uint8Array;
}

export interface Request {
  readonly command: number;
  readonly flags?: number;
  readonly cookie?: bigint;
  readonly offset?: number | bigint;
  readonly length?: number;
  readonly data?: Uint8Array;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** A transmission request; the length is that of the data unless told otherwise. */
export function request({ command, flags = 0, cookie = 1n, offset = 0, length, data }: Request): Uint8Array {
  const view = new DataView(new ArrayBuffer(28));
  view.setUint32(0, 0x25609513);
  view.setUint16(4, flags);
  view.setUint16(6, command);
  view.setBigUint64(8, cookie);
  view.setBigUint64(16, BigInt(offset));
  view.setUint32(24, length ?? data?.length ?? 0);
  return concat(new Uint8Array(view.buffer), data ?? new Uint8Array(0));
}

/** A handshake option. */
export function option(code: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, 0x49484156454f5054n);
  view.setUint32(8, code);
  view.setUint32(12, data.length);
  return concat(new Uint8Array(view.buffer), data);
}

export function uint32(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return new Uint8Array(view.buffer);
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function sized(value: string): Uint8Array {
  return concat(uint32(text(value).length), text(value));
}

export const CLIENT_FLAGS = uint32(3);
export const GO = (name: string, ...infos: number[]): Uint8Array =>
  option(7, concat(sized(name), new Uint8Array([0, infos.length]), ...infos.map((info) => new Uint8Array([0, info]))));
export const STRUCTURED = option(8);
export const SET_CONTEXTS = (name: string, ...queries: string[]): Uint8Array =>
  option(10, concat(sized(name), uint32(queries.length), ...queries.map(sized)));

/** A session, its output, and the means to look at both. */
export class TestClient {
  readonly session: NbdSession;
  readonly defects: unknown[] = [];
  readonly handles: ExportHandle[];
  reading = true;
  ended = false;
  /** While true the client takes nothing: what is sent stays with the session until `drain`. */
  slow = false;
  refusal: string | null = null;
  sends = 0;
  #out: Uint8Array[] = [];

  constructor(handles: ExportHandle[], limits?: SessionLimits) {
    this.handles = handles;
    this.session = new NbdSession({
      directory: {
        find: (name) => this.handles.find((handle) => handle.name === name) ?? null,
        list: () => this.handles,
        admit: () => this.refusal,
      },
      output: {
        send: (bytes) => {
          this.sends += 1;
          this.#out.push(this.slow ? bytes : new Uint8Array(bytes));
          return !this.slow;
        },
        setReading: (on) => {
          this.reading = on;
        },
        end: () => {
          if (this.ended) throw new Error('end was called twice');
          this.ended = true;
        },
      },
      onDefect: (error) => this.defects.push(error),
      ...(limits === undefined ? {} : { limits }),
    });
    this.session.start();
  }

  /** A client in transmission on the first export, the handshake's bytes taken away. */
  static in(
    backing: MemoryBacking,
    options: {
      structured?: boolean;
      contexts?: string[];
      limits?: SessionLimits;
      gate?: WriteGate;
      counter?: RequestCounter;
    } = {},
  ) {
    const { gate, counter } = options;
    const handle = {
      name: 'disk',
      description: '',
      backing,
      multiConn: false,
      ...(gate === undefined ? {} : { gate }),
      ...(counter === undefined ? {} : { counter }),
    };
    const client = new TestClient([handle], options.limits);
    client.push(CLIENT_FLAGS);
    if (options.structured !== false) client.push(STRUCTURED);
    if (options.contexts !== undefined) client.push(SET_CONTEXTS('disk', ...options.contexts));
    client.push(GO('disk'));
    client.take();
    client.sends = 0;
    return client;
  }

  push(...parts: Uint8Array[]): boolean {
    return this.session.push(concat(...parts));
  }

  send(...requests: Request[]): boolean {
    return this.push(...requests.map(request));
  }

  /** Everything sent so far, once. */
  take(): Uint8Array {
    const bytes = concat(...this.#out);
    this.#out = [];
    return bytes;
  }

  /** The slow client takes what was sent. */
  drain(): void {
    this.#out = this.#out.map((bytes) => new Uint8Array(bytes));
    this.session.drained();
  }

  /** Replies sent so far, once. Simple replies to the cookies in `reads` carry that many bytes. */
  replies(reads: ReadonlyMap<bigint, number> = new Map()): Reply[] {
    return parseReplies(this.take(), reads);
  }
}

/** Takes a stream of replies apart; throws on anything that is none. */
export function parseReplies(bytes: Uint8Array, reads: ReadonlyMap<bigint, number> = new Map()): Reply[] {
  const replies: Reply[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const magic = view.getUint32(at);
    const cookie = view.getBigUint64(at + 8);
    if (magic === 0x67446698) {
      const errno = view.getUint32(at + 4);
      const length = errno === 0 ? (reads.get(cookie) ?? 0) : 0;
      const payload = bytes.slice(at + 16, at + 16 + length);
      if (payload.length !== length) throw new Error('a simple reply was cut');
      replies.push({ cookie, kind: 'simple', errno, done: true, type: 0, payload });
      at += 16 + length;
    } else if (magic === 0x668e33ef) {
      const type = view.getUint16(at + 6);
      const length = view.getUint32(at + 16);
      const payload = bytes.slice(at + 20, at + 20 + length);
      if (payload.length !== length) throw new Error('a structured reply was cut');
      const errno = type >= 0x8000 ? view.getUint32(at + 20) : 0;
      replies.push({ cookie, kind: 'structured', errno, done: (view.getUint16(at + 4) & 1) === 1, type, payload });
      at += 20 + length;
    } else throw new Error(`no reply at ${at}: ${magic.toString(16)}`);
  }
  return replies;
}

/** The bytes of a READ put together from its chunks; throws on gaps, overlaps and chunks after the last. */
export function assemble(replies: readonly Reply[], offset: number, length: number): Uint8Array {
  const data = new Uint8Array(length);
  let covered = 0;
  replies.forEach((reply, index) => {
    if (reply.done !== (index === replies.length - 1)) throw new Error('DONE is not on the last chunk');
    if (reply.type === 0) return;
    const view = new DataView(reply.payload.buffer, reply.payload.byteOffset);
    const from = Number(view.getBigUint64(0)) - offset;
    const size = reply.type === 2 ? view.getUint32(8) : reply.payload.length - 8;
    if (reply.type === 1) data.set(reply.payload.subarray(8), from);
    else if (reply.type !== 2) throw new Error(`chunk type ${reply.type}`);
    covered += size;
  });
  if (covered !== length) throw new Error(`${covered} of ${length} bytes`);
  return data;
}
