/** The giving side of a hand-over: the order of its effects, and whose word ends it. */
import {
  createAcceptance,
  createForce,
  createRefusal,
  decodeEpochRecord,
  forcePoint,
  mergeEpochRecords,
  type Relinquish,
  revokeMember,
} from '@diskswarm/identity';
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import {
  applySource,
  decodeSourceState,
  type Effect,
  encodeSourceState,
  handoverResult,
  INITIAL_DESTINATION,
  INITIAL_SOURCE,
  restartSource,
  type SourceContext,
  type SourceEvent,
  type SourceState,
} from '../src/index.ts';
import { firstGeneration, genesis, grant, keys, outsider, owner, roster, startChain } from './disk.ts';

const [home, office, hotel] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
const context: SourceContext = { genesis, roster, chain: startChain, keys: home, destination: INITIAL_DESTINATION };
const nonce = new Uint8Array(16).fill(9);

/** Applies events one after the other; gives the last state and the effects of the last event. */
function play(
  events: readonly SourceEvent[],
  from: SourceState = INITIAL_SOURCE,
  within = context,
): { state: SourceState; effects: readonly Effect[] } {
  return events.reduce((step, event) => applySource(step.state, event, within), {
    state: from,
    effects: [] as readonly Effect[],
  });
}
const toOffice: SourceEvent = { kind: 'start', to: office.hostId };
const sealed: SourceEvent = { kind: 'sealed', final: firstGeneration, nonce };
const relinquished = play([toOffice, { kind: 'held' }, sealed]);
const { relinquish } = relinquished.state as Extract<SourceState, { phase: 'relinquished' }>;
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);

test('hold, drain, seal, and the record is durable before it is sent', (t) => {
  t.deepEqual(kinds(play([toOffice]).effects), ['hold']);
  t.deepEqual(kinds(play([toOffice, { kind: 'held' }]).effects), ['seal']);
  t.deepEqual(kinds(relinquished.effects), ['persist', 'send']);
  t.is(relinquish.finalGeneration, firstGeneration.id);
  t.is(handoverResult(relinquished.state), 'in-doubt');
});

test('a signed acceptance ends it: durable, fenced, told', (t) => {
  const done = play([{ kind: 'verdict', verdict: createAcceptance(genesis, relinquish, office) }], relinquished.state);
  t.deepEqual(kinds(done.effects), ['persist', 'fence', 'finished']);
  t.is(handoverResult(done.state), 'done');
});

test('a signed refusal gives the disk back, and keeps the refusal as a record', (t) => {
  const verdict = createRefusal(genesis, relinquish, { code: 'DISK_FULL', reason: 'no room' }, office);
  const step = play([{ kind: 'verdict', verdict }], relinquished.state);
  t.deepEqual(kinds(step.effects), ['persist', 'resume', 'finished']);
  t.deepEqual(step.effects[0]?.kind === 'persist' && step.effects[0].records, [verdict]);
  t.deepEqual(step.state, {
    phase: 'idle',
    last: { result: 'refused', relinquish: relinquish.id, code: 'DISK_FULL', message: 'no room' },
  });
});

test('the word of anybody else ends nothing', (t) => {
  for (const verdict of [
    createRefusal(genesis, relinquish, { code: 'X', reason: '' }, hotel),
    createAcceptance(genesis, { ...relinquish, id: grant.id } as unknown as Relinquish, office),
  ]) {
    t.is(play([{ kind: 'verdict', verdict }], relinquished.state).state, relinquished.state);
  }
});

test('an abort is possible until the record is made, and not after', (t) => {
  t.deepEqual(kinds(play([toOffice, { kind: 'held' }, { kind: 'abort' }]).effects), ['resume', 'finished']);
  const late = play([{ kind: 'abort' }], relinquished.state);
  t.is(late.state, relinquished.state);
  t.is(late.effects[0]?.kind === 'refuse' && late.effects[0].code, 'HANDOVER_IN_DOUBT');
});

test('a connected client stops it, and whoever asked hears why', (t) => {
  const asked = play([
    { kind: 'ask', from: office.hostId, nonce },
    { kind: 'holdRefused', code: 'CLIENT_CONNECTED', message: 'a VM uses it' },
  ]);
  t.deepEqual(kinds(asked.effects), ['resume', 'finished', 'send']);
  const last = asked.effects[2];
  t.deepEqual(last?.kind === 'send' && [last.to, last.message], [
    office.hostId,
    { kind: 'refused', disk: genesis.disk, nonce, code: 'CLIENT_CONNECTED', message: 'a VM uses it' },
  ]);
});

const refusals: [string, string, SourceEvent, Partial<SourceContext>][] = [
  ['by a host that does not own the disk', 'NOT_OWNER', { kind: 'start', to: hotel.hostId }, { keys: office }],
  ['to a stranger', 'ROLE_FORBIDS', { kind: 'start', to: outsider.hostId }, {}],
  ['to itself', 'INVALID_ARGUMENT', { kind: 'start', to: home.hostId }, {}],
  [
    'to a revoked host',
    'REVOKED',
    toOffice,
    {
      roster: revokeMember(
        { genesis, roster, host: office.hostId, after: { epoch: 1, sequence: 1 } },
        owner,
        new SeededRandom('r'),
      ).roster,
    },
  ],
  [
    'by a host that was offered the disk and has not accepted',
    'NOT_OWNER',
    { kind: 'start', to: hotel.hostId },
    { keys: office, chain: mergeEpochRecords(startChain, [relinquish], genesis, roster) },
  ],
];
for (const [name, code, event, part] of refusals) {
  test(`refused: a hand-over ${name}`, (t) => {
    const step = play([event], INITIAL_SOURCE, { ...context, ...part });
    t.is(step.state, INITIAL_SOURCE);
    t.is(step.effects[0]?.kind === 'refuse' && step.effects[0].code, code);
  });
}

test('a second hand-over waits for the first; the host that gets the disk may ask again', (t) => {
  const busy = play([{ kind: 'start', to: hotel.hostId }], relinquished.state);
  t.is(busy.effects[0]?.kind === 'refuse' && busy.effects[0].code, 'HANDOVER_IN_DOUBT');
  t.deepEqual(play([{ kind: 'ask', from: office.hostId, nonce }], relinquished.state).effects, [
    relinquished.effects[1]!,
  ]);
  t.deepEqual(play([{ kind: 'connected', host: office.hostId }], relinquished.state).effects, [
    relinquished.effects[1]!,
  ]);
  t.deepEqual(play([{ kind: 'connected', host: hotel.hostId }], relinquished.state).effects, []);
});

test('a restart goes on where the durable state was', (t) => {
  const early = play([toOffice, { kind: 'held' }]).state;
  t.deepEqual(decodeSourceState(encodeSourceState(early), genesis), INITIAL_SOURCE);
  const chain = mergeEpochRecords(startChain, [relinquish], genesis, roster);
  const again = decodeSourceState(encodeSourceState(relinquished.state), genesis);
  t.deepEqual(again, relinquished.state);
  t.deepEqual(restartSource(again, { ...context, chain }).effects, [relinquished.effects[1]!]);
});

test('a forced take-over overrules it: fenced for good', (t) => {
  const content = {
    at: forcePoint(startChain, grant.id),
    to: hotel.hostId,
    afterGeneration: firstGeneration.id,
    afterSequence: 1,
    forkName: 'f',
  };
  const force = createForce(genesis, content, owner);
  const chain = mergeEpochRecords(startChain, [decodeEpochRecord(relinquish.bytes, genesis), force], genesis, roster);
  const step = play([{ kind: 'chainChanged' }], relinquished.state, { ...context, chain });
  t.deepEqual(kinds(step.effects), ['persist', 'fence', 'finished']);
  t.is(handoverResult(step.state), 'overruled');
  t.deepEqual(kinds(play([{ kind: 'chainChanged' }], play([toOffice]).state, { ...context, chain }).effects), [
    'fence',
    'finished',
  ]);
});
