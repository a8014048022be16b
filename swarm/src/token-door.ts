/**
 * The door for hosts that have a join token and are no members yet: what they hear, and how they ask.
 *
 *   newcomer (initiator)                                  the token's redeeming host
 *   lane handshake, proven with the token's secret   ⇄    so far like any lane; the roster is not asked
 *                                                    ←    u32 length, then a canonical record: the roster and the epochs, or why not
 *
 * Nothing is asked in words: which host and which token it is was proven. Who may come in is judged by the door's keeper,
 * which makes it durable before it answers. Both sides bound length, time and number.
 */
import {
  type Address,
  type Canonical,
  type Clock,
  type Connection,
  type ConnectionHandlers,
  type DiskId,
  DiskswarmError,
  decodeCanonical,
  encodeCanonical,
  type HostId,
  type Random,
  RecordReader,
  type Transport,
} from '@diskswarm/core';
import { type HostKeys, MAX_EPOCH_RECORDS, MAX_RECORD_BYTES, MAX_ROSTER_BYTES } from '@diskswarm/identity';
import { NONCE_BYTES } from '@diskswarm/wire';
import { refused } from './accepted.ts';
import { LaneDialer } from './lane-dialer.ts';
import type { ProofCandidate, ProvenLane } from './lane-handshake.ts';
import { GUEST_DEADLINE_MS, MAX_GUESTS, MAX_REDEMPTION_BYTES } from './limits.ts';

/** What a newcomer is told: the records of the disk, with itself in the roster, or why it may not come in. */
export type Redemption =
  | { readonly roster: Uint8Array; readonly epochs: readonly Uint8Array[] }
  | { readonly refused: string };

/** A token that is redeemed here. */
export interface TokenDoor {
  readonly disk: DiskId;
  readonly secret: Uint8Array;
  /** Judges the host; what it answers is durable. */
  redeem(host: HostId): Promise<Redemption>;
}

const LENGTH_BYTES = 4;
const MAX_REASON_BYTES = 64;

/** The responder's side. */
export class TokenDoors {
  readonly #clock: Clock;
  readonly #doors: () => readonly TokenDoor[];
  readonly #guests = new Set<Connection>();

  constructor(clock: Clock, doors: () => readonly TokenDoor[]) {
    this.#clock = clock;
    this.#doors = doors;
  }

  /** Connections of guests. */
  get connections(): readonly Connection[] {
    return [...this.#guests];
  }

  /** What guests may prove themselves with. */
  candidates(): ProofCandidate[] {
    return this.#doors().map((door) => ({
      disk: door.disk,
      secret: door.secret,
      welcome: (lane) => this.#welcome(lane, door),
    }));
  }

  #welcome({ connection, host }: ProvenLane, door: TokenDoor): ConnectionHandlers {
    if (this.#guests.size >= MAX_GUESTS) return refused(connection);
    this.#guests.add(connection);
    const deadline = this.#clock.setTimer(GUEST_DEADLINE_MS, () => connection.destroy());
    let open = true;
    door.redeem(host).then(
      (answer) => {
        if (!open) return;
        connection.write([encodeRedemption(answer)]);
        connection.close();
      },
      // What went wrong is in this host's log; the newcomer tries again.
      () => connection.destroy(),
    );
    return {
      onData: () => connection.destroy(),
      onDrain: () => undefined,
      onClose: () => {
        open = false;
        deadline.cancel();
        this.#guests.delete(connection);
      },
    };
  }
}

/** Asks the host at `address` to let this one in; PEER_UNREACHABLE where it is not the redeeming host or knows no such token. */
export async function redeemAt(
  address: Address,
  own: { transport: Transport; clock: Clock; random: Random; keys: HostKeys },
  token: { disk: DiskId; secret: Uint8Array; redeemer: HostId },
): Promise<Redemption> {
  const { transport, clock, random, keys } = own;
  const { disk, secret, redeemer } = token;
  const lane = { kind: 'control' as const, session: random.bytes(NONCE_BYTES) };
  let answer: Promise<Redemption> | null = null;
  const failure = await new LaneDialer(transport).dial(address, {
    clock,
    keys,
    hello: { instance: random.bytes(NONCE_BYTES), listenPort: 0, lane },
    candidate: { disk, secret },
    admits: (_disk, host) => host === redeemer,
    wants: () => true,
    onProven: ({ connection }) => {
      const hearing = new Hearing(connection, clock);
      answer = hearing.answer;
      return hearing;
    },
  });
  if (failure !== null || answer === null)
    throw new DiskswarmError('PEER_UNREACHABLE', `nobody at ${address} lets hosts in by this token`, {
      data: { address },
      cause: failure ?? undefined,
    });
  return answer;
}

/** Collects the answer. */
class Hearing implements ConnectionHandlers {
  readonly answer: Promise<Redemption>;
  readonly #connection: Connection;
  #parts: Uint8Array[] = [];
  #length = 0;
  #settle: { resolve(answer: Redemption): void; reject(error: unknown): void };

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    const { promise, resolve, reject } = Promise.withResolvers<Redemption>();
    const timer = clock.setTimer(GUEST_DEADLINE_MS, () => connection.destroy());
    this.answer = promise.finally(() => timer.cancel());
    this.#settle = { resolve, reject };
  }

  onData(bytes: Uint8Array): void {
    this.#parts.push(bytes.slice());
    this.#length += bytes.length;
    if (this.#length > LENGTH_BYTES + MAX_REDEMPTION_BYTES) this.#connection.destroy();
  }

  onDrain(): void {}

  onClose(error?: Error): void {
    try {
      this.#settle.resolve(decodeRedemption(Buffer.concat(this.#parts)));
    } catch (cause) {
      const why = 'the host that was to redeem the token ended the connection without an answer; try again';
      this.#settle.reject(new DiskswarmError('PEER_UNREACHABLE', why, { cause: error ?? cause }));
    }
  }
}

function encodeRedemption(answer: Redemption): Uint8Array {
  const fields: { [key: string]: Canonical } =
    'refused' in answer ? { refused: answer.refused } : { epochs: answer.epochs, roster: answer.roster };
  const body = encodeCanonical(fields);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

function decodeRedemption(bytes: Buffer): Redemption {
  const body = bytes.subarray(LENGTH_BYTES);
  if (bytes.length < LENGTH_BYTES || bytes.readUInt32BE(0) !== body.length)
    throw new DiskswarmError('PROTOCOL_ERROR', 'an answer to a token that was cut');
  const what = 'answer to a token';
  const reader = new RecordReader(decodeCanonical(body, { maxBytes: MAX_REDEMPTION_BYTES, what }), what, [
    'epochs',
    'refused',
    'roster',
  ]);
  if (reader.has('refused')) return { refused: reader.text('refused', MAX_REASON_BYTES) };
  const epochs = reader.list('epochs', MAX_EPOCH_RECORDS).map((item) => {
    if (item instanceof Uint8Array && item.length <= MAX_RECORD_BYTES) return item;
    throw new DiskswarmError('PROTOCOL_ERROR', 'an epoch record that is none');
  });
  return { roster: reader.bytes('roster', { max: MAX_ROSTER_BYTES }), epochs };
}
