/** Proofs and hellos hold on one channel, for one side, and nowhere else. */
import test from 'ava';
import fc from 'fast-check';
import { checkLaneProof, LANE_PROOF_BYTES, laneProof, signHello, verifyHello } from '../src/index.ts';
import { codeOf, makeDisk } from './helpers.ts';

const { home, secret, random } = makeDisk();
const binding = random.bytes(32);
const otherBinding = random.bytes(32);

test('a proof holds for its secret, channel and side only', (t) => {
  const proof = laneProof(secret, binding, 'initiator');
  t.is(proof.length, LANE_PROOF_BYTES);
  t.true(checkLaneProof(proof, secret, binding, 'initiator'));
  t.false(checkLaneProof(proof, secret, binding, 'responder'), 'a reflected proof');
  t.false(checkLaneProof(proof, secret, otherBinding, 'initiator'), 'a replayed proof');
  t.false(checkLaneProof(proof, random.bytes(32), binding, 'initiator'));
  t.false(checkLaneProof(proof.subarray(1), secret, binding, 'initiator'));
});

test('a hello tells the host and its fields, on its own channel and side only', (t) => {
  const hello = signHello(home, binding, 'responder', { lane: 2 });
  t.deepEqual(verifyHello(hello, binding, 'responder'), { host: home.hostId, fields: { lane: 2 } });
  t.is(
    codeOf(() => verifyHello(hello, otherBinding, 'responder')),
    'PROTOCOL_ERROR',
  );
  t.is(
    codeOf(() => verifyHello(hello, binding, 'initiator')),
    'PROTOCOL_ERROR',
  );
  for (let position = 0; position < hello.length; position += 5) {
    const changed = hello.with(position, hello[position]! ^ 1);
    t.is(
      codeOf(() => verifyHello(changed, binding, 'responder')),
      'PROTOCOL_ERROR',
      `byte ${position}`,
    );
  }
});

test('garbage instead of a hello is a protocol error', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      (bytes) => codeOf(() => verifyHello(bytes, binding, 'initiator')) === 'PROTOCOL_ERROR',
    ),
  );
  t.pass();
});
