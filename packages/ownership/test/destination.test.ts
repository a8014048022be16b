/** The receiving side of a hand-over: one answer per epoch, durable before anybody hears of it. */
import { createForce, createRelinquish, forcePoint, mergeEpochRecords } from '@diskswarm/identity';
import test from 'ava';
import {
  applyDestination,
  type Context,
  type DestinationState,
  decodeDestinationState,
  type Effect,
  encodeDestinationState,
  INITIAL_DESTINATION,
  INITIAL_SOURCE,
  standingOf,
} from '../src/index.ts';
import { firstGeneration, genesis, grant, keys, owner, roster, sealAfter, startChain } from './disk.ts';

const [home, office, hotel] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
const offerWith = (fill: number) =>
  createRelinquish(
    genesis,
    {
      at: startChain.current.head,
      to: office.hostId,
      finalGeneration: firstGeneration.id,
      finalSequence: 1,
      nonce: new Uint8Array(16).fill(fill),
    },
    home,
  );
const relinquish = offerWith(1);
const chain = mergeEpochRecords(startChain, [relinquish], genesis, roster);
const context: Context = { genesis, roster, chain, keys: office };
const offered = { kind: 'offered', sender: home.hostId, relinquish, final: firstGeneration } as const;
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);
const decide = (
  refusal: { code: string; reason: string } | null,
  state = applyDestination(INITIAL_DESTINATION, offered, context).state,
) => applyDestination(state, { kind: 'examined', relinquish: relinquish.id, refusal }, context);
const standing = (destination: DestinationState, host = office.hostId) =>
  standingOf({ host, chain, roster, source: INITIAL_SOURCE, destination });

test('an offer is examined, accepted durably, and only then does the disk become writable', (t) => {
  t.deepEqual(kinds(applyDestination(INITIAL_DESTINATION, offered, context).effects), ['examine']);
  t.deepEqual(standing(INITIAL_DESTINATION), { state: 'incoming', epoch: 2 });
  const accepted = decide(null);
  t.deepEqual(kinds(accepted.effects), ['persist', 'activate', 'send']);
  t.deepEqual(standing(accepted.state), { state: 'writable', epoch: 2 });
  t.deepEqual(standing(accepted.state, home.hostId), { state: 'elsewhere', owner: office.hostId });
});

test('the answer is the same for ever, also after a restart, also to a host that carries the record', (t) => {
  for (const refusal of [null, { code: 'DISK_FULL', reason: 'no room' }]) {
    const first = decide(refusal);
    const restarted = decodeDestinationState(encodeDestinationState(first.state), genesis);
    t.deepEqual(restarted, first.state);
    const again = applyDestination(restarted, { ...offered, sender: hotel.hostId }, context);
    const given = first.effects.at(-1);
    t.deepEqual(again.effects, [{ ...(given as Extract<Effect, { kind: 'send' }>), to: hotel.hostId }]);
    t.deepEqual(
      decide(refusal === null ? { code: 'X', reason: '' } : null, restarted).effects,
      [],
      'the slot is written once',
    );
  }
});

test('a refusal is durable with both records before it is sent, and the disk stays away', (t) => {
  const refused = decide({ code: 'DISK_FULL', reason: 'no room' });
  t.deepEqual(kinds(refused.effects), ['persist', 'send']);
  const [persist] = refused.effects;
  t.deepEqual(persist?.kind === 'persist' && persist.records.map(({ kind }) => kind), ['relinquish', 'refuse']);
});

test('a second record for an answered epoch gets no answer: a refusal would make its signer an owner', (t) => {
  const step = applyDestination(decide(null).state, { ...offered, relinquish: offerWith(2) }, context);
  t.deepEqual(kinds(step.effects), ['conflict']);
});

test('an offer for another host, or one already under examination, changes nothing', (t) => {
  t.deepEqual(applyDestination(INITIAL_DESTINATION, offered, { ...context, keys: hotel }).effects, []);
  const { state } = applyDestination(INITIAL_DESTINATION, offered, context);
  t.deepEqual(applyDestination(state, offered, context).effects, []);
});

test('an offer with another generation than it names is a broken protocol', (t) => {
  const final = sealAfter(startChain, home, firstGeneration);
  t.throws(() => applyDestination(INITIAL_DESTINATION, { ...offered, final }, context), {
    code: 'PROTOCOL_ERROR',
  } as object);
});

test('an offer that a forced take-over overruled is neither accepted nor refused', (t) => {
  const content = {
    at: forcePoint(startChain, grant.id),
    to: hotel.hostId,
    afterGeneration: firstGeneration.id,
    afterSequence: 1,
    forkName: 'f',
  };
  const forced = {
    ...context,
    chain: mergeEpochRecords(chain, [createForce(genesis, content, owner)], genesis, roster),
  };
  t.deepEqual(applyDestination(INITIAL_DESTINATION, offered, forced).effects, []);
  const { state } = applyDestination(INITIAL_DESTINATION, offered, context);
  const late = applyDestination(state, { kind: 'examined', relinquish: relinquish.id, refusal: null }, forced);
  t.deepEqual(late, { state: INITIAL_DESTINATION, effects: [] });
});
