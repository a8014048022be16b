/**
 * How an encrypted connection becomes a lane of a known host, or never does (design D9).
 *
 *   initiator                                   responder
 *   proof of the swarm secret (32 bytes)   →    finds the disk whose secret it is
 *                                          ←    its own proof, then its hello (who it is, signed over the binding)
 *   its hello, and which lane this becomes →    the roster admits it: the lane begins
 *
 * Whatever fails, on either side, looks the same from outside: everything is read and nothing answered until a fixed time
 * after the start, then the connection ends. The initiator alone may leave early, and only from a host that has proven
 * itself (it has a session with it already).
 */
import {
  type Clock,
  type Connection,
  type ConnectionHandlers,
  type DiskId,
  DiskswarmError,
  type HostId,
  type Timer,
} from '@diskswarm/core';
import {
  checkLaneProof,
  type HostKeys,
  LANE_PROOF_BYTES,
  laneProof,
  type SwarmSecret,
  signHello,
  verifyHello,
} from '@diskswarm/identity';
import { decodeLaneHello, encodeLaneHello, type LaneHello, MAX_HELLO_BYTES } from '@diskswarm/wire';
import { LANE_DEADLINE_MS } from './limits.ts';

/** A connection whose other end is a proven member of `disk`. */
export interface ProvenLane {
  readonly connection: Connection;
  readonly disk: DiskId;
  readonly host: HostId;
  /** What the other side said of itself and, when it dialled, of the lane. */
  readonly hello: LaneHello;
}

/** A disk that a proof may belong to. */
export interface ProofCandidate {
  readonly disk: DiskId;
  readonly secret: SwarmSecret;
}

interface CommonOptions {
  readonly clock: Clock;
  readonly keys: HostKeys;
  /** What we say of ourselves; `lane` is set by the side that dials. */
  readonly hello: LaneHello;
  /** True when the host may use the disk: in its roster, not revoked, not banned. */
  admits(disk: DiskId, host: HostId): boolean;
  /** The lane begins: the handlers get everything that follows. */
  onProven(lane: ProvenLane): ConnectionHandlers;
  /** The connection ended without becoming a lane. Once, and not after `onProven`. */
  onFailed(error: DiskswarmError): void;
}

/** Options of the side that dialled. */
export interface InitiatorOptions extends CommonOptions {
  readonly candidate: ProofCandidate;
  /** False when no lane to this host is wanted: a session with it exists. */
  wants(host: HostId, hello: LaneHello): boolean;
}

/** Options of the side that was dialled. */
export interface ResponderOptions extends CommonOptions {
  /** Every disk and secret that is known here; all are tried for every proof. */
  candidates(): readonly ProofCandidate[];
}

const LENGTH_BYTES = 2;
const MAX_BUFFER_BYTES = LANE_PROOF_BYTES + LENGTH_BYTES + MAX_HELLO_BYTES;

/** Runs the handshake as the side that dialled; takes the connection over. */
export function proveAsInitiator(connection: Connection, options: InitiatorOptions): void {
  new Handshake(connection, options, { ...options, side: 'initiator' }).start();
}

/** Runs the handshake as the side that was dialled; takes the connection over. */
export function proveAsResponder(connection: Connection, options: ResponderOptions): void {
  new Handshake(connection, options, { ...options, side: 'responder' }).start();
}

type Role = ({ side: 'initiator' } & InitiatorOptions) | ({ side: 'responder' } & ResponderOptions);

class Handshake {
  readonly #connection: Connection;
  readonly #options: CommonOptions;
  readonly #role: Role;
  #buffer: Uint8Array = new Uint8Array(0);
  /** `silent`: failed, and waiting for the deadline. */
  #stage: 'proof' | 'hello' | 'silent' | 'proven' | 'ended' = 'proof';
  #proven: ProofCandidate | null = null;
  #handlers: ConnectionHandlers | null = null;
  #failure: DiskswarmError | undefined;
  #deadline: Timer | null = null;

  constructor(connection: Connection, options: CommonOptions, role: Role) {
    this.#connection = connection;
    this.#options = options;
    this.#role = role;
  }

  start(): void {
    this.#deadline = this.#options.clock.setTimer(LANE_DEADLINE_MS, () => this.#connection.destroy());
    this.#connection.start({
      onData: (bytes) => this.#receive(bytes),
      onDrain: () => this.#handlers?.onDrain(),
      onClose: (error) => {
        this.#deadline?.cancel();
        if (this.#handlers !== null) this.#handlers.onClose(error);
        else this.#fail(error);
        this.#stage = 'ended';
      },
    });
    if (this.#role.side === 'initiator') {
      const { secret } = this.#role.candidate;
      this.#connection.write([laneProof(secret, this.#connection.binding, 'initiator')]);
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#handlers !== null) {
      this.#handlers.onData(bytes);
      return;
    }
    if (this.#stage === 'silent' || this.#stage === 'ended') return;
    // Behind the initiator's hello its first frames may follow: they stay in `bytes`.
    const room = MAX_BUFFER_BYTES - this.#buffer.length;
    this.#buffer = Buffer.concat([this.#buffer, bytes.subarray(0, room)]);
    let unread = bytes.subarray(room);
    try {
      if (this.#stage === 'proof' && this.#buffer.length >= LANE_PROOF_BYTES) this.#readProof();
      if (this.#stage === 'hello') unread = this.#readHello(unread);
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
      this.#failure = error;
      this.#stage = 'silent';
      this.#buffer = new Uint8Array(0);
    }
    const handlers = this.#handlers as ConnectionHandlers | null;
    if (handlers === null) return;
    const first = this.#buffer;
    this.#buffer = new Uint8Array(0);
    if (first.length > 0) handlers.onData(first);
    if (unread.length > 0) handlers.onData(unread);
  }

  #readProof(): void {
    const { binding } = this.#connection;
    const proof = this.#buffer.subarray(0, LANE_PROOF_BYTES);
    this.#buffer = this.#buffer.subarray(LANE_PROOF_BYTES);
    if (this.#role.side === 'initiator') {
      const { candidate } = this.#role;
      if (!checkLaneProof(proof, candidate.secret, binding, 'responder')) refuse('a proof that does not match');
      this.#proven = candidate;
    } else {
      // Every candidate is tried, so that time does not tell which disks are here.
      for (const candidate of this.#role.candidates()) {
        if (checkLaneProof(proof, candidate.secret, binding, 'initiator')) this.#proven = candidate;
      }
      if (this.#proven === null) refuse('a proof that does not match');
      this.#connection.write([laneProof(this.#proven!.secret, binding, 'responder'), this.#ownHello()]);
    }
    this.#stage = 'hello';
  }

  #readHello(unread: Uint8Array): Uint8Array {
    if (this.#buffer.length < LENGTH_BYTES) return unread;
    const length = (this.#buffer[0]! << 8) | this.#buffer[1]!;
    if (length === 0 || length > MAX_HELLO_BYTES) refuse('a hello of a wrong length');
    if (this.#buffer.length < LENGTH_BYTES + length) return unread;
    const body = this.#buffer.slice(LENGTH_BYTES, LENGTH_BYTES + length);
    this.#buffer = this.#buffer.subarray(LENGTH_BYTES + length);
    const theirSide = this.#role.side === 'initiator' ? 'responder' : 'initiator';
    const { host, fields } = verifyHello(body, this.#connection.binding, theirSide);
    const hello = decodeLaneHello(fields, theirSide);
    const { disk } = this.#proven!;
    if (!this.#options.admits(disk, host)) refuse('a host that the roster does not admit');
    if (this.#role.side === 'initiator') {
      if (!this.#role.wants(host, hello)) {
        this.#failure = new DiskswarmError('ABORTED', 'a session with this host exists', { data: { host } });
        this.#stage = 'silent';
        this.#connection.close();
        return unread;
      }
      this.#connection.write([this.#ownHello()]);
    }
    this.#stage = 'proven';
    this.#deadline?.cancel();
    this.#handlers = this.#options.onProven({ connection: this.#connection, disk, host, hello });
    return unread;
  }

  #ownHello(): Uint8Array {
    const { keys, hello } = this.#options;
    const body = signHello(keys, this.#connection.binding, this.#role.side, encodeLaneHello(hello));
    return Buffer.concat([Uint8Array.of(body.length >> 8, body.length & 0xff), body]);
  }

  #fail(error: Error | undefined): void {
    if (this.#stage === 'ended') return;
    this.#options.onFailed(
      this.#failure ??
        new DiskswarmError('PEER_UNREACHABLE', 'the connection ended before its host was known', { cause: error }),
    );
  }
}

function refuse(why: string): never {
  throw new DiskswarmError('PEER_MISBEHAVED', why);
}
