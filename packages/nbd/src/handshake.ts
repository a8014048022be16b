/**
 * The handshake phase: fixed newstyle, until the client has chosen an export or gone away.
 *
 * A pure machine: `push` takes bytes, replies go to `send`, the result stands in `outcome`. Holds at most one option of bounded
 * length; longer ones are skipped as they arrive. Source: "Handshake phase", "Option types". TLS is not offered (NOTLS).
 */
import type { StatusContext } from '@diskswarm/core';
import { CONTEXT_IDS } from './block-status.ts';
import { EXPORT_FLAG, HANDSHAKE_FLAG, MAGIC, OPTION, OPTION_HEADER_BYTES, OPTION_REPLY } from './constants.ts';
import { MAX_OPTION_BYTES, MAX_OPTIONS } from './limits.ts';
import { parseInfoRequest, parseMetaContextRequest, parseString } from './option-data.ts';
import {
  exportNameReply,
  infoReplies,
  metaContextReply,
  optionError,
  optionReply,
  serverReply,
} from './option-replies.ts';
import type { ExportDirectory, ExportHandle } from './ports.ts';

/** How the handshake ended. */
export type HandshakeOutcome =
  | {
      readonly kind: 'transmission';
      readonly handle: ExportHandle;
      readonly structured: boolean;
      readonly contexts: readonly StatusContext[];
    }
  | { readonly kind: 'end' };

const CONTEXTS = Object.keys(CONTEXT_IDS) as StatusContext[];

export class Handshake {
  outcome: HandshakeOutcome | null = null;
  readonly #directory: ExportDirectory;
  readonly #send: (bytes: Uint8Array) => void;
  /** Collects the client flags, an option header, or an option. */
  #collected = new Uint8Array(OPTION_HEADER_BYTES);
  #have = 0;
  #wanted = 4;
  #step: 'flags' | 'header' | 'data' | 'skip' = 'flags';
  #option = 0;
  #options = 0;
  #zeroes = true;
  #structured = false;
  #contextExport: ExportHandle | null = null;
  #contexts: readonly StatusContext[] = [];

  constructor(directory: ExportDirectory, send: (bytes: Uint8Array) => void) {
    this.#directory = directory;
    this.#send = send;
  }

  /** Takes bytes until there is an outcome; returns how many it took. */
  push(bytes: Uint8Array): number {
    let at = 0;
    while (this.outcome === null && (at < bytes.length || this.#wanted === this.#have)) {
      const taken = Math.min(this.#wanted - this.#have, bytes.length - at);
      if (this.#step !== 'skip') this.#collected.set(bytes.subarray(at, at + taken), this.#have);
      this.#have += taken;
      at += taken;
      if (this.#have === this.#wanted) this.#advance();
    }
    return at;
  }

  #advance(): void {
    const data = this.#collected.subarray(0, this.#wanted);
    const step = this.#step;
    if (step === 'flags') this.#clientFlags(data);
    else if (step === 'header') this.#optionHeader(data);
    else {
      this.#expect('header', OPTION_HEADER_BYTES);
      const reply = step === 'data' ? this.#handle(this.#option, data.slice()) : this.#tooBig();
      if (reply !== null) this.#send(reply);
    }
  }

  #expect(step: 'header' | 'data' | 'skip', lengthBytes: number): void {
    this.#step = step;
    this.#wanted = lengthBytes;
    this.#have = 0;
    if (step !== 'skip' && lengthBytes > this.#collected.length) this.#collected = new Uint8Array(lengthBytes);
  }

  #clientFlags(data: Uint8Array): void {
    const flags = new DataView(data.buffer).getUint32(0);
    if ((flags & ~(HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes)) !== 0) {
      this.outcome = { kind: 'end' };
      return;
    }
    this.#zeroes = (flags & HANDSHAKE_FLAG.noZeroes) === 0;
    this.#expect('header', OPTION_HEADER_BYTES);
  }

  #optionHeader(data: Uint8Array): void {
    const view = new DataView(data.buffer);
    const lengthBytes = view.getUint32(12);
    this.#option = view.getUint32(8);
    this.#options += 1;
    const foreign = view.getUint32(0) !== MAGIC.optionHigh || view.getUint32(4) !== MAGIC.optionLow;
    const tooLong = lengthBytes > MAX_OPTION_BYTES;
    if (foreign || this.#options > MAX_OPTIONS || (tooLong && this.#option === OPTION.exportName)) {
      this.outcome = { kind: 'end' };
    } else this.#expect(tooLong ? 'skip' : 'data', lengthBytes);
  }

  /** Answers an option; returns its final reply, or null when there is none. */
  #handle(option: number, data: Uint8Array): Uint8Array | null {
    switch (option) {
      case OPTION.exportName:
        this.#exportName(data);
        return null;
      case OPTION.abort:
        this.outcome = { kind: 'end' };
        return this.#ack();
      case OPTION.list:
        if (data.length > 0) return this.#invalid('LIST takes no data');
        for (const handle of this.#directory.list()) this.#send(serverReply(option, handle));
        return this.#ack();
      case OPTION.info:
      case OPTION.go:
        return this.#info(data, option === OPTION.go);
      case OPTION.structuredReply:
        if (data.length > 0) return this.#invalid('STRUCTURED_REPLY takes no data');
        this.#structured = true;
        return this.#ack();
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.#metaContext(data, option === OPTION.setMetaContext);
      default:
        return this.#error(OPTION_REPLY.errorUnsupported, 'this server does not know the option');
    }
  }

  #exportName(data: Uint8Array): void {
    const name = parseString(data);
    const handle = name === null ? null : this.#directory.find(name);
    if (handle === null || this.#directory.admit(handle) !== null) {
      this.outcome = { kind: 'end' };
      return;
    }
    this.#send(exportNameReply(handle.backing.sizeBytes, this.#flagsOf(handle), this.#zeroes));
    this.#enter(handle);
  }

  #info(data: Uint8Array, go: boolean): Uint8Array {
    const request = parseInfoRequest(data);
    if (request === null) return this.#invalid('malformed');
    const handle = this.#directory.find(request.name);
    if (handle === null) return this.#unknown();
    const refusal = go ? this.#directory.admit(handle) : null;
    if (refusal !== null) return this.#error(OPTION_REPLY.errorPolicy, refusal);
    for (const reply of infoReplies(this.#option, handle, this.#flagsOf(handle), request.wanted)) this.#send(reply);
    if (go) this.#enter(handle);
    return this.#ack();
  }

  #metaContext(data: Uint8Array, set: boolean): Uint8Array {
    if (set) this.#contexts = [];
    const request = parseMetaContextRequest(data);
    if (request === null) return this.#invalid('malformed');
    if (!this.#structured) return this.#invalid('metadata contexts need structured replies');
    const handle = this.#directory.find(request.name);
    if (handle === null) return this.#unknown();
    const all = !set && request.queries.length === 0;
    const chosen = CONTEXTS.filter((name) => all || request.queries.some((query) => matches(name, query, !set)));
    for (const name of chosen) this.#send(metaContextReply(this.#option, set ? CONTEXT_IDS[name] : 0, name));
    if (set) {
      this.#contexts = chosen;
      this.#contextExport = handle;
    }
    return this.#ack();
  }

  #enter(handle: ExportHandle): void {
    const contexts = this.#contextExport === handle ? this.#contexts : [];
    this.outcome = { kind: 'transmission', handle, structured: this.#structured, contexts };
  }

  #flagsOf(handle: ExportHandle): number {
    const { backing, multiConn } = handle;
    const writing = EXPORT_FLAG.sendTrim | EXPORT_FLAG.sendWriteZeroes | EXPORT_FLAG.sendFastZero;
    return (
      EXPORT_FLAG.hasFlags |
      EXPORT_FLAG.sendFlush |
      EXPORT_FLAG.sendFua |
      EXPORT_FLAG.sendCache |
      (backing.readOnly ? EXPORT_FLAG.readOnly : writing) |
      (this.#structured ? EXPORT_FLAG.sendDf : 0) |
      (multiConn ? EXPORT_FLAG.canMultiConn : 0)
    );
  }

  #ack(): Uint8Array {
    return optionReply(this.#option, OPTION_REPLY.ack);
  }

  #error(type: number, message: string): Uint8Array {
    return optionError(this.#option, type, message);
  }

  #invalid(message: string): Uint8Array {
    return this.#error(OPTION_REPLY.errorInvalid, message);
  }

  #tooBig(): Uint8Array {
    return this.#error(OPTION_REPLY.errorTooBig, `an option takes at most ${MAX_OPTION_BYTES} bytes`);
  }

  #unknown(): Uint8Array {
    return this.#error(OPTION_REPLY.errorUnknown, 'no such export');
  }
}

/** A namespace with an empty leaf is a wildcard, for lists only ("Metadata querying"). */
function matches(name: StatusContext, query: string, wildcard: boolean): boolean {
  return query === name || (wildcard && query.endsWith(':') && name.startsWith(query));
}
