/**
 * How an encrypted connection becomes a lane of a known host, or never does (design D9).
 *
 *   initiator                                   responder
 *   proof of the swarm secret (32 bytes)   →    finds the disk whose secret it is
 *                                          ←    its own proof, then its hello (who it is, signed over the binding)
 *   its hello, and which lane this becomes →    the roster admits it: the lane begins
 *
 * Where one side's roster does not know the other, and the other's does, that one is shown before the lane begins (roster-letter.ts).
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
import { encodeLetter, LetterReader, type RosterExchange, rosterMark } from './roster-letter.ts';

/** A connection whose other end is a proven member of `disk`. */
export interface ProvenLane {
  readonly connection: Connection;
  readonly disk: DiskId;
  readonly host: HostId;
  /** What the other side said of itself and, when it dialled, of the lane. */
  readonly hello: LaneHello;
  /** Set where the proof was one of a guest, who is no member yet. */
  readonly welcome?: Welcome | undefined;
}

/** Takes the connection of a host that proved a secret for guests. */
type Welcome = (lane: ProvenLane) => ConnectionHandlers;

/** A disk that a proof may belong to. */
export interface ProofCandidate {
  readonly disk: DiskId;
  readonly secret: SwarmSecret;
  /** The secret lets anybody who has it come this far, the roster is not asked; the lane is handed on with it. @default members only */
  readonly welcome?: Welcome;
}

interface CommonOptions {
  readonly clock: Clock;
  readonly keys: HostKeys;
  /** What we say of ourselves; `lane` is set by the side that dials. */
  readonly hello: LaneHello;
  /** True when the host may use the disk: in its roster, not revoked, not banned. */
  admits(disk: DiskId, host: HostId): boolean;
  /** For rosters that differ. @default who is not admitted meets silence */
  readonly rosters?: RosterExchange | undefined;
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
  /** `letter`: the other side's roster arrives. `judged`: it is looked at. `silent`: failed, and waiting for the deadline. */
  #stage: 'proof' | 'hello' | 'letter' | 'judged' | 'silent' | 'proven' | 'ended' = 'proof';
  #proven: ProofCandidate | null = null;
  /** Who said a sound hello. */
  #greeted: { readonly host: HostId; readonly hello: LaneHello } | null = null;
  readonly #letter = new LetterReader();
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
    // Behind the initiator's hello its roster or its first frames may follow: they stay in `bytes`.
    const room = MAX_BUFFER_BYTES - this.#buffer.length;
    this.#buffer = Buffer.concat([this.#buffer, bytes.subarray(0, room)]);
    let unread = bytes.subarray(room);
    try {
      if (this.#stage === 'proof' && this.#buffer.length >= LANE_PROOF_BYTES) this.#readProof();
      if (this.#stage === 'hello') this.#readHello();
      if (this.#stage === 'letter') unread = this.#readLetter(unread);
      // Until the lane begins there is nothing to say but a ping.
      else if (this.#stage === 'judged' && unread.length > 0) refuse('too much said before the roster was accepted');
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
      this.#fallSilent(error);
    }
    this.#handOver(unread);
  }

  /** Gives the lane what came behind the handshake. */
  #handOver(unread: Uint8Array): void {
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
      const { disk, secret, welcome } = this.#proven!;
      const mark = welcome === undefined ? this.#ownMark(disk) : undefined;
      const hello = this.#ownHello(mark === undefined ? {} : { rosterMark: mark });
      this.#connection.write([laneProof(secret, binding, 'responder'), hello]);
    }
    this.#stage = 'hello';
  }

  #readHello(): void {
    if (this.#buffer.length < LENGTH_BYTES) return;
    const length = (this.#buffer[0]! << 8) | this.#buffer[1]!;
    if (length === 0 || length > MAX_HELLO_BYTES) refuse('a hello of a wrong length');
    if (this.#buffer.length < LENGTH_BYTES + length) return;
    const body = this.#buffer.slice(LENGTH_BYTES, LENGTH_BYTES + length);
    this.#buffer = this.#buffer.subarray(LENGTH_BYTES + length);
    const theirSide = this.#role.side === 'initiator' ? 'responder' : 'initiator';
    const { host, fields } = verifyHello(body, this.#connection.binding, theirSide);
    const hello = decodeLaneHello(fields, theirSide);
    this.#greeted = { host, hello };
    if (this.#role.side === 'initiator') this.#answerResponder(this.#role);
    else this.#answerInitiator();
  }

  #answerResponder(role: InitiatorOptions): void {
    const { host, hello } = this.#greeted!;
    const { disk, secret } = this.#proven!;
    const admitted = role.admits(disk, host);
    const mark = this.#ownMark(disk);
    const differs = hello.rosterMark !== undefined && mark !== undefined && !equal(hello.rosterMark, mark);
    if (!admitted && !(differs && role.rosters?.mayShow(host, disk, secret)))
      refuse('a host that the roster does not admit');
    if (!role.wants(host, hello)) {
      this.#failure = new DiskswarmError('ABORTED', 'a session with this host exists', { data: { host } });
      this.#stage = 'silent';
      this.#connection.close();
      return;
    }
    this.#connection.write([this.#ownHello(differs ? { letter: admitted ? 'shown' : 'wanted' } : {})]);
    if (!admitted) this.#stage = 'letter';
    else {
      if (differs) this.#showRoster();
      this.#begin();
    }
  }

  #answerInitiator(): void {
    const { host, hello } = this.#greeted!;
    const { disk, secret, welcome } = this.#proven!;
    const { rosters } = this.#options;
    const admitted = welcome !== undefined || this.#options.admits(disk, host);
    const shows = hello.letter === 'shown' && rosters !== undefined;
    if (!admitted && !(shows && rosters.mayShow(host, disk, secret))) refuse('a host that the roster does not admit');
    if (shows && welcome === undefined) {
      this.#stage = 'letter';
      return;
    }
    if (hello.letter === 'wanted') this.#showRoster();
    this.#begin();
  }

  /** Reads the other side's roster; it is looked at where ours does not admit that host. Returns what does not belong to it. */
  #readLetter(unread: Uint8Array): Uint8Array {
    const letter = this.#letter.push(Buffer.concat([this.#buffer, unread]));
    this.#buffer = new Uint8Array(0);
    if (letter === null) return this.#buffer;
    const { disk } = this.#proven!;
    const admits = (): boolean => this.#options.admits(disk, this.#greeted!.host);
    if (admits()) {
      this.#begin();
      return letter.rest;
    }
    if (letter.rest.length > MAX_BUFFER_BYTES) refuse('too much said before the roster was accepted');
    this.#buffer = letter.rest;
    this.#stage = 'judged';
    this.#options.rosters!.take(disk, letter.bundle).then(
      () => {
        if (this.#stage !== 'judged') return;
        if (admits()) {
          this.#begin();
          this.#handOver(new Uint8Array(0));
        } else this.#fallSilent(new DiskswarmError('PEER_MISBEHAVED', 'a host that no roster admits'));
      },
      (error: unknown) => {
        if (this.#stage === 'judged')
          this.#fallSilent(new DiskswarmError('PEER_MISBEHAVED', 'a roster that does not hold', { cause: error }));
      },
    );
    return new Uint8Array(0);
  }

  #begin(): void {
    const { disk, welcome } = this.#proven!;
    this.#stage = 'proven';
    this.#deadline?.cancel();
    this.#handlers = this.#options.onProven({ connection: this.#connection, disk, ...this.#greeted!, welcome });
  }

  #fallSilent(error: DiskswarmError): void {
    this.#failure = error;
    this.#stage = 'silent';
    this.#buffer = new Uint8Array(0);
  }

  #ownMark(disk: DiskId): Uint8Array | undefined {
    const { rosters } = this.#options;
    return rosters === undefined ? undefined : rosterMark(rosters.bundle(disk));
  }

  #showRoster(): void {
    const { rosters } = this.#options;
    if (rosters === undefined) refuse('a roster that is not shown here');
    this.#connection.write([encodeLetter(rosters!.bundle(this.#proven!.disk))]);
  }

  #ownHello(more: Pick<LaneHello, 'rosterMark' | 'letter'>): Uint8Array {
    const { keys, hello } = this.#options;
    const body = signHello(keys, this.#connection.binding, this.#role.side, encodeLaneHello({ ...hello, ...more }));
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

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function refuse(why: string): never {
  throw new DiskswarmError('PEER_MISBEHAVED', why);
}
