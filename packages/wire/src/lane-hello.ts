/**
 * What a host says of a lane in its signed hello, behind the proofs (design D9).
 *
 * The side that was dialled speaks first and says who it is; the side that dialled then says which lane of which session
 * this becomes. Signing and checking are identity's; the order and what follows from it are the session's.
 */
import { type Canonical, type Decoded, DiskswarmError, RecordReader } from '@diskswarm/core';

/** Version of everything behind the hello. */
export const PROTOCOL_VERSION = 2;
/** Bytes of the random names of agent runs and sessions. */
export const NONCE_BYTES = 16;
/** Bytes by which a roster is compared before it is sent. */
export const ROSTER_MARK_BYTES = 16;
/** What the side that dialled does about rosters that differ: its own follows its hello, or it wants the other's. */
const LETTERS = ['shown', 'wanted'] as const;
/** One of them. */
export type RosterLetter = (typeof LETTERS)[number];
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
  /** Said by the side that was dialled: which roster it has. */
  readonly rosterMark?: Uint8Array;
  /** Said by the side that dialled, of a control lane, where the other's roster differs from its own. */
  readonly letter?: RosterLetter;
}

/** The hello's fields for signing. */
export function encodeLaneHello(hello: LaneHello): { readonly [key: string]: Canonical } {
  const { instance, listenPort, lane, rosterMark, letter } = hello;
  const common = { instance, port: listenPort, protocol: PROTOCOL_VERSION };
  if (lane === null) return rosterMark === undefined ? common : { ...common, roster: rosterMark };
  const dialled = { ...common, lane: lane.kind, session: lane.session };
  return letter === undefined ? dialled : { ...dialled, letter };
}

/** Reads the fields of a verified hello; throws FORMAT_INVALID, also for a version that is not spoken here. */
export function decodeLaneHello(fields: Decoded, side: 'initiator' | 'responder'): LaneHello {
  const own = side === 'initiator' ? ['lane', 'letter', 'session'] : ['roster'];
  const reader = new RecordReader(fields, 'hello', ['instance', 'port', 'protocol', ...own]);
  reader.integer('protocol', PROTOCOL_VERSION, PROTOCOL_VERSION);
  const instance = reader.bytes('instance', { length: NONCE_BYTES }).slice();
  const listenPort = reader.integer('port', 0, 0xffff);
  if (side === 'responder') {
    const answered = { instance, listenPort, lane: null };
    if (!reader.has('roster')) return answered;
    return { ...answered, rosterMark: reader.bytes('roster', { length: ROSTER_MARK_BYTES }).slice() };
  }
  const name = reader.text('lane', 16);
  const kind = LANE_CLASSES.find((lane) => lane === name);
  if (kind === undefined)
    throw new DiskswarmError('FORMAT_INVALID', 'hello: an unknown lane', { data: { lane: name } });
  const lane = { kind, session: reader.bytes('session', { length: NONCE_BYTES }).slice() };
  if (!reader.has('letter')) return { instance, listenPort, lane };
  const said = reader.text('letter', 16);
  const letter = LETTERS.find((each) => each === said);
  if (letter === undefined || kind !== 'control')
    throw new DiskswarmError('FORMAT_INVALID', 'hello: a letter of an unknown kind', { data: { letter: said } });
  return { instance, listenPort, lane, letter };
}
