/** One record of every format, made from fixed seeds: what the fixture holds as literal bytes. */
import { toHex } from '@diskswarm/core';
import { SeededRandom } from '@diskswarm/sim';
import {
  createAcceptance,
  createAdmission,
  createAnnounceBlob,
  createForce,
  createHostKeys,
  createInvitation,
  createReceipt,
  createRefusal,
  createRelease,
  createTokenLine,
  encodeHostKeys,
  encodeOwnerFile,
  forcePoint,
  grantToken,
  infoHashOf,
  laneProof,
  newToken,
  signHello,
  topicOf,
  withAdmissions,
} from '../src/index.ts';
import { chainOf, generationIn, makeDisk, nextGeneration, relinquishTo } from './helpers.ts';

const binding = new Uint8Array(32).fill(0x42);
const nonce = new Uint8Array(16).fill(0x17);

/** Name and hex (or text) of every vector. */
export function makeGolden(): { [name: string]: string } {
  const disk = makeDisk('golden');
  const { genesis, roster, owner, home, office, hotel, secret, grant } = disk;
  const start = chainOf(disk, grant);
  const first = generationIn(disk, start, home);
  const second = nextGeneration(disk, start, home, first);
  const relinquish = relinquishTo(disk, start, home, office, second);
  const force = {
    at: forcePoint(start, grant.id),
    to: hotel.hostId,
    afterGeneration: first.id,
    afterSequence: 1,
    forkName: 'lost-laptop',
  };
  const content = {
    genesis,
    roster,
    epochs: [grant, relinquish],
    trackers: ['http://tracker.example:6969/announce'],
    addresses: ['192.0.2.7:4711'],
    name: 'laptop',
    host: office.hostId,
  };
  const seeds = new SeededRandom('token');
  const wanted = { genesis, redeemer: home.hostId, role: 'reader', uses: 20, expiresMs: 1_700_000_000_000 } as const;
  const { token, secret: tokenSecret } = newToken(wanted, seeds);
  const listed = grantToken({ genesis, roster, secret, token, nowMs: 0 }, owner, seeds).roster;
  const guest = createHostKeys(seeds).hostId;
  const admission = createAdmission({ disk: genesis.disk, id: token.id, use: 1, host: guest, secret }, home, seeds);
  const places = { trackers: content.trackers, addresses: content.addresses, name: 'laptop' };
  const topic = topicOf(secret, genesis.disk);
  return {
    hostKeys: toHex(encodeHostKeys(home)),
    hostId: home.hostId,
    ownerFile: toHex(encodeOwnerFile(owner, 'correct horse', new SeededRandom('file'))),
    genesis: toHex(genesis.bytes),
    diskId: genesis.disk,
    roster: toHex(roster.bytes),
    topic: toHex(topic),
    infoHash: toHex(infoHashOf(topic)),
    announceBlob: toHex(createAnnounceBlob(first, secret, new SeededRandom('blob')) ?? new Uint8Array(0)),
    laneProofInitiator: toHex(laneProof(secret, binding, 'initiator')),
    laneProofResponder: toHex(laneProof(secret, binding, 'responder')),
    hello: toHex(signHello(home, binding, 'initiator', { lane: 1 })),
    grant: toHex(grant.bytes),
    grantId: grant.id,
    firstGeneration: toHex(first.bytes),
    secondGeneration: toHex(second.bytes),
    secondGenerationId: second.id,
    relinquish: toHex(relinquish.bytes),
    relinquishId: relinquish.id,
    acceptance: toHex(createAcceptance(genesis, relinquish, office).bytes),
    refusal: toHex(createRefusal(genesis, relinquish, { code: 'DISK_FULL', reason: 'no room' }, office).bytes),
    force: toHex(createForce(genesis, force, owner).bytes),
    receipt: toHex(createReceipt(second, nonce, office).bytes),
    release: toHex(createRelease({ generation: second, keeper: hotel.hostId, authority: grant.id }, home).bytes),
    invitation: createInvitation(content, owner),
    tokenLine: createTokenLine({ genesis, secret: tokenSecret, redeemer: home.hostId, ...places }, owner),
    rosterWithToken: toHex(listed.bytes),
    admission: toHex(admission.bytes),
    rosterWithAdmission: toHex(withAdmissions(listed, [admission]).bytes),
  };
}
