/**
 * What a host says of a lane in its signed hello, behind the proofs (design D9).
 *
 * The side that was dialled speaks first and says who it is; the side that dialled then says which lane of which session
 * this becomes. Signing and checking are identity's; the order and what follows from it are the session's.
 */
import { type Canonical, type Decoded, DiskswarmError, RecordReader } from '@diskswarm/core';

/** Version of everything behind the hello. */
export const PROTOCOL_VERSION = 1;
/** Bytes of the random names of agent runs and sessions. */
export const NONCE_BYTES = 16;
/** Classes of lanes; a session has one of each. */
export const LANE_CLASSES = ['control', 'bulk', 'memory'] as const;
/** Lanes on which disks have channels. */
export const CHANNEL_LANES = ['control', 'bulk'] as const;
/** Control carries faults and everything small; bulk carries background chunks. */
export type ChannelLane = (typeof CHANNEL_LANES)[number];
/** Memory carries streams: the memory of guests that move. */
export type LaneClass = (typeof LANE_CLASSES)[number];

/** The parameters of a lane as one side states them. */
export interface LaneHello {
  /** Names this run of the agent: a new one tells the peer that sessions with the old run are gone. */
  readonly instance: Uint8Array;
  /** Port at which this host accepts connections, 0 for none. */
  readonly listenPort: number;
  /** Said by the side that dialled. */
  readonly lane: { readonly kind: LaneClass; readonly session: Uint8Array } | null;
}

/** The hello's fields for signing. */
export function encodeLaneHello(hello: LaneHello): { readonly [key: string]: Canonical } {
  const common = { instance: hello.instance, port: hello.listenPort, protocol: PROTOCOL_VERSION };
  return hello.lane === null ? common : { ...common, lane: hello.lane.kind, session: hello.lane.session };
}

/** Reads the fields of a verified hello; throws FORMAT_INVALID, also for a version that is not spoken here. */
export function decodeLaneHello(fields: Decoded, side: 'initiator' | 'responder'): LaneHello {
  const known = ['instance', 'port', 'protocol'];
  const reader = new RecordReader(fields, 'hello', side === 'initiator' ? [...known, 'lane', 'session'] : known);
  reader.integer('protocol', PROTOCOL_VERSION, PROTOCOL_VERSION);
  const instance = reader.bytes('instance', { length: NONCE_BYTES }).slice();
  const listenPort = reader.integer('port', 0, 0xffff);
  if (side === 'responder') return { instance, listenPort, lane: null };
  const name = reader.text('lane', 16);
  const kind = LANE_CLASSES.find((lane) => lane === name);
  if (kind === undefined)
    throw new DiskswarmError('FORMAT_INVALID', 'hello: an unknown lane', { data: { lane: name } });
  return { instance, listenPort, lane: { kind, session: reader.bytes('session', { length: NONCE_BYTES }).slice() } };
}
