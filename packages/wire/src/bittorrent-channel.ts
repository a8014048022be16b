/**
 * One BitTorrent conversation over one channel of a lane; the only place that imports bittorrent-protocol.
 *
 * The library speaks handshake, extensions, interest, choke, request, piece, cancel and reject; the framer in front of it
 * bounds every message first. Requests are whole chunks named by their index in the channel's piece spaces. Every request
 * has exactly one answer, a piece, a packed one or a reject, also after a cancel (BEP 6); an answer to nothing is a violation.
 * Packed pieces (packed-piece.ts) go past the library, which is told on both sides that the request was rejected.
 * Bytes go in and out by the two methods its stream is built on, so that a message is handled in the turn it arrives in
 * and the stream's queues, which have no bound of ours, stay empty; the package's version is pinned for that.
 * Its timers (keep-alive, request timeout) and its view of availability stay unused.
 */
/// <reference path="./bittorrent-protocol.d.ts" />
import { type ChunkId, DiskswarmError, decodeCanonical, toHex } from '@diskswarm/core';
import Wire from 'bittorrent-protocol';
import type { ChunkBuffers } from './chunk-buffers.ts';
import { INDEX_SPACE, MAX_EXTENDED_HANDSHAKE_BYTES, MAX_EXTENSION_BYTES } from './limits.ts';
import { MESSAGE_ID, MessageFramer } from './message-framer.ts';
import {
  BASE_EXTENSION,
  type BaseHint,
  decodeBase,
  decodePacked,
  encodeBase,
  encodePackedHead,
  PACKED_EXTENSION,
  type PackedChunk,
} from './packed-piece.ts';

/** What the conversation tells its user; calls come from within `receive`. */
export interface BittorrentHandlers {
  /** One whole message to send; `piece` is the index when it is an answer with bytes. The views are handed over. */
  send(views: readonly Uint8Array[], piece: number | null): void;
  /** Both handshakes are done: extensions and requests may go out. */
  onReady(): void;
  /** `base`: a chunk that the peer holds, to which the answer may be a delta. */
  onRequest(index: number, base: ChunkId | null): void;
  /** The request is answered with a reject unless its piece has left already. */
  onCancel(index: number): void;
  /** `bytes` are the receiver's own, a whole chunk, not verified; `cancelled` when nobody waits any more. */
  onPiece(index: number, bytes: Uint8Array, cancelled: boolean): void;
  /** As `onPiece`, in the form it came in; the body is the receiver's own. */
  onPacked(index: number, packed: PackedChunk, cancelled: boolean): void;
  onReject(index: number, cancelled: boolean): void;
  onChoke(choked: boolean): void;
  onExtension(name: string, payload: Uint8Array): void;
}

/** What both ends agree on before the conversation starts. */
export interface BittorrentOptions {
  /** 20 bytes; the other side's must be equal. */
  readonly infoHash: Uint8Array;
  /** 20 bytes of our own. */
  readonly peerId: Uint8Array;
  readonly chunkSizeBytes: number;
  /** Names of the extension messages spoken here. */
  readonly extensions: readonly string[];
  /** Requests of the peer that may wait for an answer; more are rejected at once. */
  readonly maxPeerRequests: number;
  /** Arrays for arriving pieces; whoever gets one may give it back. */
  readonly buffers?: ChunkBuffers;
}

const PROTOCOL_NAME = Buffer.from('\x13BitTorrent protocol', 'latin1');

/** Hands outgoing messages on, each whole, instead of queueing them in the stream. */
class DirectWire extends Wire {
  readonly #send: (views: readonly Uint8Array[], piece: number | null) => void;
  #handshakeSent = false;
  /** A message's head whose body comes with the next call. */
  #head: Uint8Array | null = null;

  constructor(send: (views: readonly Uint8Array[], piece: number | null) => void) {
    super();
    this.#send = send;
  }

  override _push(data: Uint8Array): boolean {
    if (!this.#handshakeSent) {
      this.#handshakeSent = true;
      this.#send([data], null);
      return true;
    }
    const head = this.#head ?? data;
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    if (head === data && 4 + view.getUint32(0) > data.length) {
      this.#head = data;
      return true;
    }
    this.#head = null;
    this.#send(head === data ? [data] : [head, data], head[4] === MESSAGE_ID.piece ? view.getUint32(5) : null);
    return true;
  }
}

type Respond = (error: Error | null, bytes?: Uint8Array) => void;

export class BittorrentChannel {
  readonly #options: BittorrentOptions;
  readonly #handlers: BittorrentHandlers;
  readonly #wire: DirectWire;
  readonly #framer: MessageFramer;
  /** Answers due to us: how many for an index, and how many of them somebody still waits for (0 or 1). */
  readonly #due = new Map<number, { answers: number; wanted: boolean }>();
  /** Requests of the peer that wait for our answer. */
  readonly #peerRequests = new Map<number, Respond>();
  /** What the peer said right before its next request. */
  #hint: BaseHint | null = null;
  /** The library says something that the peer has no business hearing. */
  #muted = false;
  #handshakeSeen = false;
  #ready = false;
  #closed = false;

  constructor(options: BittorrentOptions, handlers: BittorrentHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#wire = new DirectWire((views, piece) => {
      if (!this.#closed && !this.#muted) handlers.send(views, piece);
    });
    this.#framer = new MessageFramer({
      chunkSizeBytes: options.chunkSizeBytes,
      receive: (message) => this.#receiveMessage(message),
      buffers: options.buffers,
    });
    for (const name of options.extensions) this.#wire.use(extensionNamed(name));
    this.#listen();
  }

  /** True once both handshakes are done. */
  get ready(): boolean {
    return this.#ready;
  }

  /** True while the peer takes no requests. */
  get peerChoking(): boolean {
    return this.#wire.peerChoking;
  }

  /** Answers still due to us, cancelled ones included. */
  get answersDue(): number {
    let count = 0;
    for (const { answers } of this.#due.values()) count += answers;
    return count;
  }

  /** Sends our handshake. Both sides do, in any order. */
  open(): void {
    this.#wire.handshake(this.#options.infoHash, this.#options.peerId, { fast: true });
  }

  /** Takes the channel's bytes; throws PROTOCOL_ERROR when the peer broke the protocol. */
  receive(bytes: Uint8Array): void {
    if (!this.#closed) this.#framer.push(bytes);
  }

  /**
   * Asks for a chunk; false when the peer chokes us or the index is already asked for. `base` is a chunk that is here: a peer that knows how may
   * answer with what differs from it.
   */
  request(index: number, base: ChunkId | null = null): boolean {
    if (this.#closed || !this.#ready || this.#wire.peerChoking) return false;
    const due = this.#due.get(index);
    if (due?.wanted === true) return false;
    this.#due.set(index, { answers: (due?.answers ?? 0) + 1, wanted: true });
    if (base !== null) this.extension(BASE_EXTENSION, encodeBase({ index, base }));
    this.#wire.request(index, 0, this.#options.chunkSizeBytes, ignoreOutcome);
    return true;
  }

  /** Takes a request back; its answer may still come. */
  cancel(index: number): void {
    const due = this.#due.get(index);
    if (due?.wanted !== true || this.#closed) return;
    due.wanted = false;
    this.#wire.cancel(index, 0, this.#options.chunkSizeBytes);
  }

  /** Answers a request of the peer, once: with the chunk, or null for "not from here". No effect when it was cancelled. */
  answer(index: number, bytes: Uint8Array | null): void {
    const respond = this.#peerRequests.get(index);
    if (respond === undefined || this.#closed) return;
    this.#peerRequests.delete(index);
    if (bytes === null) respond(new Error('rejected'));
    else respond(null, bytes);
  }

  /** As `answer`, in fewer bytes, to a peer that supports PACKED_EXTENSION; the body may not change until it has left. */
  answerPacked(index: number, packed: PackedChunk): void {
    const respond = this.#peerRequests.get(index);
    const number = this.#wire.peerExtendedMapping[PACKED_EXTENSION];
    if (respond === undefined || number === undefined || this.#closed) return;
    this.#peerRequests.delete(index);
    this.#muted = true;
    respond(new Error('answered in another form'));
    this.#muted = false;
    const head = encodePackedHead(index, packed);
    const prefix = new Uint8Array(6);
    new DataView(prefix.buffer).setUint32(0, 2 + head.length + packed.body.length);
    prefix.set([MESSAGE_ID.extended, number], 4);
    this.#handlers.send([prefix, head, packed.body], index);
  }

  /** Tells the peer that a piece it cancelled, and that `answer` had given out, was taken back before it left. */
  withdraw(index: number): void {
    if (!this.#closed) this.#wire.reject(index, 0, this.#options.chunkSizeBytes);
  }

  /** Rejects what waits and takes no more requests, or takes them again. */
  setChoking(choking: boolean): void {
    if (this.#closed) return;
    if (choking) {
      this.#peerRequests.clear();
      this.#wire.choke();
    } else {
      this.#wire.unchoke();
    }
  }

  /** True when the peer named this extension in its handshake. */
  supports(extension: string): boolean {
    return this.#wire.peerExtendedMapping[extension] !== undefined;
  }

  /** Sends an extension message; false when the peer does not speak it. */
  extension(name: string, payload: Uint8Array): boolean {
    if (this.#closed || !this.#ready || !this.supports(name)) return false;
    if (payload.length > MAX_EXTENSION_BYTES) throw new RangeError(`${name} with ${payload.length} bytes`);
    this.#wire.extended(name, payload);
    return true;
  }

  /** Nothing is sent or told any more. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#due.clear();
    this.#peerRequests.clear();
    this.#wire.destroy();
  }

  #receiveMessage(message: Uint8Array): void {
    if (this.#closed) return;
    if (this.#handshakeSeen) this.#inspect(message);
    else if (Buffer.compare(message.subarray(0, PROTOCOL_NAME.length), PROTOCOL_NAME) !== 0)
      violation('not a BitTorrent handshake');
    this.#handshakeSeen = true;
    const name = message[4] === MESSAGE_ID.extended ? this.#wire.extendedMapping[message[5]!] : undefined;
    if (this.#ready && name === PACKED_EXTENSION) this.#receivePacked(message.subarray(6));
    else this.#wire._write(message, ignoreOutcome);
  }

  #receivePacked(payload: Uint8Array): void {
    const { index, packed } = decodePacked(payload, this.#options.chunkSizeBytes);
    const due = this.#takeAnswer(index);
    const { wanted } = due;
    due.wanted = false; // As with a piece.
    this.#muted = true;
    this.#wire._write(rejectOf(index, this.#options.chunkSizeBytes), ignoreOutcome);
    this.#muted = false;
    this.#handlers.onPacked(index, packed, !wanted);
  }

  /** Rules that need more than a message's length. */
  #inspect(message: Uint8Array): void {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    switch (message[4]) {
      case MESSAGE_ID.request:
      case MESSAGE_ID.cancel:
      case MESSAGE_ID.reject:
        if (view.getUint32(5) >= INDEX_SPACE || view.getUint32(9) !== 0) violation('a request for part of a chunk');
        if (view.getUint32(13) !== this.#options.chunkSizeBytes) violation('a request with the wrong length');
        break;
      case MESSAGE_ID.piece:
        if (view.getUint32(5) >= INDEX_SPACE || view.getUint32(9) !== 0) violation('a part of a chunk');
        break;
      case MESSAGE_ID.extended:
        // The library decodes this one itself, so that it has to be harmless before.
        if (message[5] === 0)
          decodeCanonical(message.subarray(6), { maxBytes: MAX_EXTENDED_HANDSHAKE_BYTES, what: 'extended handshake' });
        break;
      default:
    }
  }

  #listen(): void {
    const wire = this.#wire;
    wire.on('error', ignoreOutcome);
    wire.on('handshake', (infoHash, _peerId, extensions) => {
      if (infoHash !== toHex(this.#options.infoHash)) violation('a handshake for another topic');
      if (!extensions.fast || !extensions.extended) violation('a handshake without the extensions that are required');
    });
    wire.on('extended', (name, payload) => {
      if (name === 'handshake') this.#becomeReady();
      else if (name === BASE_EXTENSION && payload instanceof Uint8Array) this.#hint = decodeBase(payload);
      else if (typeof name === 'string' && payload instanceof Uint8Array) this.#handlers.onExtension(name, payload);
      else violation('an extension that was not offered');
    });
    wire.on('choke', () => this.#handlers.onChoke(true));
    wire.on('unchoke', () => this.#handlers.onChoke(false));
    wire.on('request', (index, _offset, _length, respond) => {
      const base = this.#hint?.index === index ? this.#hint.base : null;
      this.#hint = null;
      if (this.#peerRequests.has(index)) violation('the same chunk asked for twice');
      if (this.#peerRequests.size >= this.#options.maxPeerRequests) {
        respond(new Error('too many requests'));
        return;
      }
      this.#peerRequests.set(index, respond);
      this.#handlers.onRequest(index, base);
    });
    wire.on('cancel', (index) => {
      if (this.#peerRequests.delete(index)) wire.reject(index, 0, this.#options.chunkSizeBytes);
      this.#handlers.onCancel(index);
    });
    wire.on('piece', (index, _offset, bytes) => {
      const due = this.#takeAnswer(index);
      const { wanted } = due;
      // A piece that was under way when its request was cancelled serves the same request made again.
      due.wanted = false;
      this.#handlers.onPiece(index, bytes, !wanted);
    });
    wire.on('reject', (index) => {
      if (this.#muted) return;
      const due = this.#takeAnswer(index);
      // Answers to one index keep their order: while another is due, this one belongs to a cancelled request.
      const wanted = due.wanted && due.answers === 0;
      this.#handlers.onReject(index, !wanted);
    });
  }

  #becomeReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#wire.interested();
    this.#wire.unchoke();
    this.#handlers.onReady();
  }

  /** Books an answer and returns what is still due for its index. */
  #takeAnswer(index: number): { answers: number; wanted: boolean } {
    const due = this.#due.get(index);
    if (due === undefined) return violation('an answer to nothing');
    due.answers -= 1;
    if (due.answers === 0) this.#due.delete(index);
    return due;
  }
}

function violation(why: string): never {
  throw new DiskswarmError('PROTOCOL_ERROR', why);
}

function ignoreOutcome(): void {}

function rejectOf(index: number, chunkSizeBytes: number): Uint8Array {
  const message = new DataView(new ArrayBuffer(17));
  message.setUint32(0, 13);
  message.setUint8(4, MESSAGE_ID.reject);
  message.setUint32(5, index);
  message.setUint32(13, chunkSizeBytes);
  return new Uint8Array(message.buffer);
}

function extensionNamed(name: string): new () => object {
  class Extension {}
  Object.defineProperty(Extension.prototype, 'name', { value: name });
  return Extension;
}
