/** Every signed format beside the literal bytes it began with. */
import { readFileSync } from 'node:fs';
import { fromHex } from '@diskswarm/core';
import test from 'ava';
import {
  createHostKeys,
  decodeAdmission,
  decodeEpochRecord,
  decodeGeneration,
  decodeGenesis,
  decodeHostKeys,
  decodeOwnerFile,
  decodeVerdict,
  memberOf,
  parseInvitation,
  parseTokenLine,
  type Relinquish,
  tokenIdOf,
  verifyEpochChain,
  verifyGeneration,
  verifyHello,
  verifyReceipt,
  verifyRelease,
  verifyRoster,
} from '../src/index.ts';
import { makeGolden } from './golden.ts';
import { makeDisk } from './helpers.ts';

const golden = JSON.parse(readFileSync(new URL('fixtures/golden.json', import.meta.url), 'utf8')) as {
  [name: string]: string;
};
const bytes = (name: string): Uint8Array => fromHex(golden[name]!);

test('every format still has the bytes it began with', (t) => {
  t.deepEqual(makeGolden(), golden);
});

test('the bytes of the first version are still read', (t) => {
  const genesis = decodeGenesis(bytes('genesis'));
  t.is(genesis.disk as string, golden.diskId!);
  const roster = verifyRoster(bytes('roster'), genesis);
  const line = parseTokenLine(golden.tokenLine!);
  const listed = verifyRoster(bytes('rosterWithToken'), genesis);
  const admission = decodeAdmission(bytes('admission'));
  t.is(listed.tokens[0]?.id, tokenIdOf(line.secret));
  t.is(memberOf(verifyRoster(bytes('rosterWithAdmission'), genesis), admission.host)?.token?.use, 1);
  const grant = decodeEpochRecord(bytes('grant'), genesis);
  const relinquish = decodeEpochRecord(bytes('relinquish'), genesis) as Relinquish;
  t.is(relinquish.id as string, golden.relinquishId!);
  const start = verifyEpochChain([grant], genesis, roster);
  const chain = verifyEpochChain([grant, relinquish], genesis, roster);
  for (const name of ['firstGeneration', 'secondGeneration'])
    verifyGeneration(decodeGeneration(bytes(name)), chain, roster);
  t.is(decodeGeneration(bytes('secondGeneration')).id as string, golden.secondGenerationId!);
  t.is(decodeVerdict(bytes('acceptance'), genesis).kind, 'accept');
  const refusal = decodeVerdict(bytes('refusal'), genesis);
  t.is(refusal.kind === 'refuse' ? refusal.reason : '', 'no room');
  t.is(
    verifyEpochChain([grant, decodeEpochRecord(bytes('force'), genesis)], genesis, roster).current.forkName,
    'lost-laptop',
  );
  t.is(verifyReceipt(bytes('receipt'), roster).sequence, 2);
  t.is(verifyRelease(bytes('release'), start, roster).host as string, golden.hostId!);
  t.is(verifyHello(bytes('hello'), new Uint8Array(32).fill(0x42), 'initiator').host as string, golden.hostId!);
  t.is(decodeHostKeys(bytes('hostKeys')).hostId as string, golden.hostId!);
  t.deepEqual(decodeOwnerFile(bytes('ownerFile'), 'correct horse').publicKey, genesis.owner);
});

test('the invitation of the first version is still read by its host', (t) => {
  const { office, random } = makeDisk('golden');
  t.is(parseInvitation(golden.invitation!, office).name, 'laptop');
  t.throws(() => parseInvitation(golden.invitation!, createHostKeys(random)));
});
