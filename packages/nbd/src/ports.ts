/**
 * What a session needs from around it: exports to serve and a byte stream to answer on.
 *
 * The session knows no sockets; a runner (host-agent's export folder, or a test) feeds it with `push` and implements these.
 */
import type { Backing } from '@diskswarm/core';
import type { RequestCounter } from './request-counter.ts';

/** One export: a disk under a name. */
export interface ExportHandle {
  /** What clients ask for; at most 4096 bytes of UTF-8. */
  readonly name: string;
  /** For people, as `nbdinfo` prints it; may be empty. */
  readonly description: string;
  readonly backing: Backing;
  /** Advertise NBD_FLAG_CAN_MULTI_CONN: a flush on one connection covers what was acknowledged on all. */
  readonly multiConn: boolean;
  /** Slows writes down; without one they are answered as soon as they are done. */
  readonly gate?: WriteGate;
  /** Told of every request; one for all connections of the export. */
  readonly counter?: RequestCounter;
}

/**
 * Decides when a write that is done is answered; one for all connections of an export. What waits here is in the backing and committed already: a flush
 * covers it, and nothing of it is lost with the gate.
 */
export interface WriteGate {
  /** Books a write that is done, by the bytes of its payload (1 for a discard or zeroing); 0 when it is answered now, else a ticket for `wait`. */
  book(payloadBytes: number): number;
  /** Calls `answer` once, when the ticket's time has come, and never before it returns. */
  wait(ticket: number, answer: () => void): void;
}

/** Which exports a client can see. */
export interface ExportDirectory {
  /** The export of that name or null; the empty name asks for the default one. */
  find(name: string): ExportHandle | null;
  list(): readonly ExportHandle[];
  /** Called when a client is about to enter transmission; a string refuses it and is told to the client. */
  admit(handle: ExportHandle): string | null;
}

/** The client's side of a session. No method may call back into the session before it returns. */
export interface SessionOutput {
  /**
   * Takes the bytes, in order. True: they are handed over and the array may be reused at once;
   * false: it may not change until the session's `drained` is called.
   */
  send(bytes: Uint8Array): boolean;
  /** Back-pressure: no `push` may follow `setReading(false)` until `setReading(true)`. */
  setReading(on: boolean): void;
  /** Ends the connection once what was sent is out. Called at most once. */
  end(): void;
}
