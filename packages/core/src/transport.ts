/**
 * Encrypted byte connections between hosts, before anybody has proven who they are.
 *
 * A Transport only encrypts (TLS 1.3 on TCP today; Noise later; plain pipes in the simulation). What proves the peers
 * runs inside the channel over `binding` (design: proofs inside the channel), so a transport knows no keys of hosts.
 */
import { DiskswarmError } from './errors.ts';

/** `host:port`; IPv6 hosts in brackets. */
export type Address = string;

/** What the user of a connection is told; every callback runs in its own turn of the event loop or later. */
export interface ConnectionHandlers {
  /** Bytes in order; the view is only valid during the call: copy what must be kept. */
  onData(bytes: Uint8Array): void;
  /** The send queue went below its low-water mark after `write` returned false. */
  onDrain(): void;
  /** Exactly once, after which nothing else is called. `error` is absent after an orderly end. */
  onClose(error?: Error): void;
}

export interface Connection {
  /** True at the side that dialled. */
  readonly initiator: boolean;
  readonly remoteAddress: Address;
  /** 32 bytes that both ends share and nobody else knows: exported keying material or the handshake hash. */
  readonly binding: Uint8Array;
  /** Bytes accepted by `write` and not yet handed to the kernel (or the simulated link). */
  readonly queuedBytes: number;
  /** Begins delivery; called exactly once, before which nothing is read. */
  start(handlers: ConnectionHandlers): void;
  /** Queues the views' bytes, in order; the views are the caller's again when it returns. False means: wait for onDrain. */
  write(views: readonly Uint8Array[]): boolean;
  /** Stops and resumes delivery (back-pressure towards the peer). */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends. Idempotent. */
  close(): void;
  /** Ends at once; queued bytes are lost. Idempotent. */
  destroy(error?: Error): void;
}

export interface Listener {
  readonly address: Address;
  /** Stops accepting; connections already accepted live on. Idempotent. */
  close(): Promise<void>;
}

export interface Transport {
  /** Port 0 picks a free one. The number of connections whose handshake is not finished is bounded. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** Rejects with PEER_UNREACHABLE or ABORTED. */
  dial(address: Address, options: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection>;
}

/** Splits `host:port`; throws INVALID_ARGUMENT on anything else. */
export function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s]{1,253})):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535)
    throw new DiskswarmError('INVALID_ARGUMENT', `"${text.slice(0, 80)}" is not HOST:PORT`, {
      data: { text: text.slice(0, 80) },
    });
  return { host: match[1] ?? match[2] ?? '', port };
}

/** `host:port` with brackets where IPv6 needs them. */
export function formatAddress(host: string, port: number): Address {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
