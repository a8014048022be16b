/**
 * Hosts that run the state machines the way an agent does, in a world that loses, repeats and reorders messages and crashes hosts.
 *
 * A world is immutable: a step gives a new one, so that a walk can branch. The network is a set that only grows: whatever was
 * sent may arrive at any time, any number of times, or never. A crash keeps what `persist` made durable and nothing else.
 */
import { blake3, type HostId, toHex } from '@diskswarm/core';
import {
  decodeEpochRecord,
  decodeGeneration,
  decodeVerdict,
  type EpochChain,
  type EpochRecord,
  type Generation,
  mergeEpochRecords,
  type Relinquish,
  verifyEpochChain,
  verifyGeneration,
} from '@diskswarm/identity';
import {
  applyDestination,
  applySource,
  type DestinationEvent,
  type DestinationState,
  decodeDestinationState,
  decodeOwnershipMessage,
  decodeSourceState,
  type Effect,
  encodeDestinationState,
  encodeOwnershipMessage,
  encodeSourceState,
  INITIAL_DESTINATION,
  INITIAL_SOURCE,
  restartSource,
  type SourceEvent,
  type SourceState,
  standingOf,
} from '../src/index.ts';
import { firstGeneration, genesis, grant, keys, roster, sealAfter, startChain } from './disk.ts';

/** Decoding checks signatures; a walk opens the same bytes very often. */
function remembered<Value>(open: (bytes: Uint8Array) => Value): (bytes: Uint8Array) => Value {
  const known = new Map<string, Value>();
  return (bytes) => {
    const key = toHex(bytes);
    const value = known.get(key) ?? open(bytes);
    known.set(key, value);
    return value;
  };
}
const openSource = remembered((bytes) => decodeSourceState(bytes, genesis));
const openDestination = remembered((bytes) => decodeDestinationState(bytes, genesis));
const openEpochRecord = remembered((bytes) => decodeEpochRecord(bytes, genesis));
const openVerdict = remembered((bytes) => decodeVerdict(bytes, genesis));
const openGeneration = remembered(decodeGeneration);

export interface Host {
  readonly durable: {
    readonly source: Uint8Array;
    readonly destination: Uint8Array;
    readonly records: readonly EpochRecord[];
  };
  readonly source: SourceState;
  readonly destination: DestinationState;
  readonly chain: EpochChain;
  readonly newest: Generation | null;
  readonly queue: readonly Effect[];
  readonly attachment: 'none' | 'writable' | 'held' | 'incoming' | 'fenced';
}
export interface World {
  readonly hosts: readonly Host[];
  /** Everything ever sent: receiver, sender and bytes by a key. */
  readonly net: ReadonlyMap<string, { readonly from: number; readonly to: number; readonly bytes: Uint8Array }>;
  /** Makes nonces differ between attempts. */
  readonly starts: number;
}

/** What the world may do next; numbers name hosts. `answer` decides what an examination finds. */
export type Action =
  | { readonly kind: 'start'; readonly host: number; readonly to: number }
  | { readonly kind: 'ask'; readonly host: number; readonly of: number }
  | { readonly kind: 'abort'; readonly host: number }
  | { readonly kind: 'run'; readonly host: number; readonly answer: 'accept' | 'refuse' }
  | { readonly kind: 'deliver'; readonly message: string }
  | { readonly kind: 'crash'; readonly host: number }
  | { readonly kind: 'connect'; readonly host: number; readonly to: number }
  | { readonly kind: 'gossip'; readonly host: number; readonly to: number };

export function newWorld(count: number): World {
  const durable = {
    source: encodeSourceState(INITIAL_SOURCE),
    destination: encodeDestinationState(INITIAL_DESTINATION),
    records: [grant],
  };
  const hosts = keys.slice(0, count).map((_, index): Host => {
    const newest = index === 0 ? firstGeneration : null;
    return {
      durable,
      source: INITIAL_SOURCE,
      destination: INITIAL_DESTINATION,
      chain: startChain,
      newest,
      queue: [],
      attachment: index === 0 ? 'writable' : 'none',
    };
  });
  return { hosts, net: new Map(), starts: 0 };
}

export function step(world: World, action: Action): World {
  switch (action.kind) {
    case 'start':
      return toSource({ ...world, starts: world.starts + 1 }, action.host, { kind: 'start', to: idOf(action.to) });
    case 'ask': {
      const nonce = blake3(Buffer.from(`ask ${action.host} ${world.starts}`)).slice(0, 16);
      const bytes = encodeOwnershipMessage({ kind: 'ask', disk: genesis.disk, nonce });
      return { ...send(world, action.host, action.of, bytes), starts: world.starts + 1 };
    }
    case 'abort':
      return toSource(world, action.host, { kind: 'abort' });
    case 'run':
      return runNext(world, action.host, action.answer);
    case 'deliver':
      return deliver(world, action.message);
    case 'crash':
      return crash(world, action.host);
    case 'connect':
      return toSource(world, action.host, { kind: 'connected', host: idOf(action.to) });
    case 'gossip':
      return learn(world, action.to, world.hosts[action.host]!.durable.records);
  }
}

export function idOf(index: number): HostId {
  return keys[index]!.hostId;
}

function change(world: World, index: number, part: Partial<Host>): World {
  return { ...world, hosts: world.hosts.map((host, at) => (at === index ? { ...host, ...part } : host)) };
}

/** Sending the same twice in a row is sending it once: the network repeats everything anyway. */
function append(queue: readonly Effect[], effects: readonly Effect[]): readonly Effect[] {
  const after = queue.slice(queue.findLastIndex(({ kind }) => kind !== 'send') + 1).map(nameOf);
  return [...queue, ...effects.filter((effect) => effect.kind !== 'send' || !after.includes(nameOf(effect)))];
}

function nameOf(effect: Effect): string {
  if (effect.kind === 'persist') return `${effect.kind} ${toHex(effect.state)}`;
  if (effect.kind !== 'send') return effect.kind;
  const { message } = effect;
  return `send ${effect.to} ${message.kind} ${'record' in message ? toHex(message.record) : ''}`;
}

function toSource(world: World, index: number, event: SourceEvent): World {
  const host = world.hosts[index]!;
  const context = { genesis, roster, keys: keys[index]!, chain: host.chain, destination: host.destination };
  const { state, effects } = applySource(host.source, event, context);
  return change(world, index, { source: state, queue: append(host.queue, effects) });
}

function toDestination(world: World, index: number, event: DestinationEvent): World {
  const host = world.hosts[index]!;
  const { state, effects } = applyDestination(host.destination, event, {
    genesis,
    roster,
    keys: keys[index]!,
    chain: host.chain,
  });
  return change(world, index, { destination: state, queue: append(host.queue, effects) });
}

function send(world: World, from: number, to: number, bytes: Uint8Array): World {
  const key = `${from}>${to} ${toHex(blake3(bytes)).slice(0, 16)}`;
  return { ...world, net: new Map(world.net).set(key, { from, to, bytes }) };
}

function runNext(world: World, index: number, answer: 'accept' | 'refuse'): World {
  const host = world.hosts[index]!;
  const [effect, ...queue] = host.queue;
  if (!effect) return world;
  const next = change(world, index, { queue });
  switch (effect.kind) {
    case 'hold':
      return toSource(change(next, index, { attachment: 'held' }), index, { kind: 'held' });
    case 'seal': {
      if (host.chain.current.owner !== idOf(index))
        return toSource(next, index, { kind: 'sealFailed', code: 'NOT_OWNER', message: '' });
      const final = sealAfter(host.chain, keys[index]!, host.newest);
      const nonce = blake3(Buffer.from(`nonce ${index} ${world.starts}`)).slice(0, 16);
      return toSource(change(next, index, { newest: final }), index, { kind: 'sealed', final, nonce });
    }
    case 'resume':
      return change(next, index, { attachment: 'writable' });
    case 'fence':
      return change(next, index, { attachment: 'fenced' });
    case 'activate':
      return change(next, index, { attachment: 'writable' });
    case 'examine': {
      verifyGeneration(effect.final, host.chain, roster);
      const refusal = answer === 'refuse' ? { code: 'DISK_FULL', reason: 'no room' } : null;
      return toDestination(change(next, index, { newest: effect.final }), index, {
        kind: 'examined',
        relinquish: effect.relinquish.id,
        refusal,
      });
    }
    case 'persist': {
      const chain = mergeEpochRecords(host.chain, effect.records, genesis, roster);
      const durable = { ...host.durable, [effect.side]: effect.state, records: chain.records };
      return change(next, index, { durable, chain });
    }
    case 'send':
      return send(
        next,
        index,
        keys.findIndex(({ hostId }) => hostId === effect.to),
        encodeOwnershipMessage(effect.message),
      );
    default:
      return next;
  }
}

function deliver(world: World, key: string): World {
  const { from, to, bytes } = world.net.get(key)!;
  const message = decodeOwnershipMessage(bytes);
  switch (message.kind) {
    case 'ask':
      return toSource(world, to, { kind: 'ask', from: idOf(from), nonce: message.nonce });
    case 'relinquish': {
      const relinquish = openEpochRecord(message.record) as Relinquish;
      const merged = mergeInMemory(world, to, [relinquish]);
      const final = openGeneration(message.generation);
      return merged && toDestination(merged, to, { kind: 'offered', sender: idOf(from), relinquish, final });
    }
    case 'verdict':
      return toSource(world, to, { kind: 'verdict', verdict: openVerdict(message.record) });
    default:
      return world;
  }
}

/** A record that does not connect yet is put aside until the peer has sent the ones before it. */
function mergeInMemory(world: World, index: number, records: readonly EpochRecord[]): World {
  const { chain } = world.hosts[index]!;
  try {
    const merged = mergeEpochRecords(chain, records, genesis, roster);
    return merged.records.length === chain.records.length
      ? world
      : toSource(change(world, index, { chain: merged }), index, { kind: 'chainChanged' });
  } catch (error) {
    if ((error as { code?: string }).code === 'GENERATION_UNTRUSTED') return world;
    throw error;
  }
}

/** Records that a peer has durably are stored before they count here. */
function learn(world: World, index: number, records: readonly EpochRecord[]): World {
  const { durable } = world.hosts[index]!;
  const stored = verifyEpochChain([...durable.records, ...records], genesis, roster).records;
  return mergeInMemory(change(world, index, { durable: { ...durable, records: stored } }), index, records);
}

function crash(world: World, index: number): World {
  const { durable } = world.hosts[index]!;
  const chain = verifyEpochChain(durable.records, genesis, roster);
  const destination = openDestination(durable.destination);
  const context = { genesis, roster, keys: keys[index]!, chain, destination };
  const { state: source, effects: queue } = restartSource(openSource(durable.source), context);
  const standing = standingOf({ host: idOf(index), chain, roster, source, destination });
  const attachment = standing.state === 'elsewhere' ? 'none' : standing.state;
  return change(world, index, { chain, destination, source, queue, attachment });
}

const standings = new WeakMap<Host, string>();

/** What the host would be after a crash. */
function durableStanding(host: Host, index: number): string {
  const known = standings.get(host);
  if (known) return known;
  const { durable } = host;
  const chain = verifyEpochChain(durable.records, genesis, roster);
  const [source, destination] = [openSource(durable.source), openDestination(durable.destination)];
  const { state } = standingOf({ host: idOf(index), chain, roster, source, destination });
  standings.set(host, state);
  return state;
}

/** What is wrong with the world; null when nothing is. */
export function violation(world: World): string | null {
  const writable = world.hosts.filter((host) => host.attachment === 'writable').length;
  if (writable > 1) return 'two hosts write';
  const states = world.hosts.map(durableStanding);
  const owners = states.filter((state) => state === 'writable').length;
  if (owners > 1) return 'two hosts would write after a restart';
  if (owners + states.filter((state) => state === 'held').length === 0) return 'nobody owns the disk or waits to';
  const records = world.hosts.flatMap(({ durable }) => durable.records);
  const { current } = verifyEpochChain(records, genesis, roster);
  const accepted = world.hosts.some(({ durable }) => {
    const verdict = openDestination(durable.destination).slots.get(current.epoch);
    return verdict?.kind === 'accept' && verdict.previous === current.authority;
  });
  // After a refused offer the owner waits until it hears of the refusal.
  const offeredSince = current.head.previous !== current.authority;
  return accepted && !offeredSince && owners === 0 ? 'the disk was accepted and nobody owns it' : null;
}

/** Lets everything arrive and run until nothing changes: what happens once all hosts stay up and connected. */
export function settle(world: World): World {
  let now = world;
  for (let round = 0; round < 12; round++) {
    for (const [index] of now.hosts.entries()) {
      for (const [to] of now.hosts.entries()) {
        if (to !== index)
          now = step(step(now, { kind: 'gossip', host: index, to }), { kind: 'connect', host: index, to });
      }
      while (now.hosts[index]!.queue.length > 0) now = step(now, { kind: 'run', host: index, answer: 'accept' });
    }
    for (const [key, { bytes }] of now.net) {
      if (decodeOwnershipMessage(bytes).kind !== 'ask') now = step(now, { kind: 'deliver', message: key });
    }
  }
  return now;
}

const hostKeys = new WeakMap<Host, string>();

/** Two worlds with one key behave alike. */
export function keyOf(world: World): string {
  const hosts = world.hosts.map((host) => {
    const known = hostKeys.get(host) ?? describe(host);
    hostKeys.set(host, known);
    return known;
  });
  return [...hosts, ...[...world.net.keys()].toSorted(), world.starts].join(' ');
}

function describe(host: Host): string {
  const { durable, source, destination } = host;
  const parts = [
    toHex(durable.source),
    toHex(durable.destination),
    durable.records.map(({ id }) => id).toSorted(),
    host.chain.records.map(({ id }) => id).toSorted(),
    toHex(encodeSourceState(source)),
    source.phase,
    'to' in source ? source.to : '',
    [...destination.slots.values()].map(({ id }) => id),
    destination.examining?.id,
    host.newest?.id,
    host.attachment,
    host.queue.map(nameOf),
  ];
  return toHex(blake3(Buffer.from(JSON.stringify(parts))));
}
