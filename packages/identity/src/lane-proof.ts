/**
 * How two hosts prove themselves inside an encrypted channel (design D9): first the swarm secret, then the host's key.
 *
 * Both are bound to the channel (`binding`: 32 bytes both ends share and nobody else knows) and to a side, so neither can be
 * replayed on another connection nor reflected. The order of messages and what happens on failure are left to the session.
 */
import { blake3Keyed, type Canonical, type Decoded, DiskswarmError, type HostId, hasCode } from '@diskswarm/core';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostKeysOf, hostToBytes } from './host-keys.ts';
import { MAX_HELLO_BYTES } from './limits.ts';
import { equalBytes } from './primitives.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import type { SwarmSecret } from './swarm-secret.ts';

/** Which end of the connection speaks: the one that dialled, or the one that was dialled. */
export type Side = 'initiator' | 'responder';

/** Bytes of a lane proof. */
export const LANE_PROOF_BYTES = 32;

/** What shows that a side holds the swarm secret: 32 bytes that tell nothing to whom does not. */
export function laneProof(secret: SwarmSecret, binding: Uint8Array, side: Side): Uint8Array {
  return blake3Keyed(secret, Buffer.concat([Buffer.from(`diskswarm lane proof v1 ${side}\n`, 'latin1'), binding]));
}

/** True when `proof` is that of `side`; takes the same time wherever it differs. */
export function checkLaneProof(proof: Uint8Array, secret: SwarmSecret, binding: Uint8Array, side: Side): boolean {
  return equalBytes(proof, laneProof(secret, binding, side));
}

/** A host's signed introduction: its id, and the lane's parameters as `fields` (the session's business). */
export function signHello(
  keys: HostKeys,
  binding: Uint8Array,
  side: Side,
  fields: { readonly [key: string]: Canonical },
): Uint8Array {
  const body = { kind: 'hello', host: hostToBytes(keys.hostId), binding, side, fields };
  return sealRecord('hello', body, keys.signingSeed).bytes;
}

/** Checks the introduction of the `side` that speaks; PROTOCOL_ERROR on anything that is not its hello on this channel. */
export function verifyHello(bytes: Uint8Array, binding: Uint8Array, side: Side): { host: HostId; fields: Decoded } {
  try {
    const record = openRecord(bytes, {
      domain: 'hello',
      what: 'hello',
      maxBytes: MAX_HELLO_BYTES,
      known: ['kind', 'host', 'binding', 'side', 'fields'],
    });
    const { reader } = record;
    const host = hostFromBytes(reader.bytes('host', { length: HOST_BYTES }));
    record.verify(hostKeysOf(host).signing);
    const bound = equalBytes(reader.bytes('binding', { length: binding.length }), binding);
    if (reader.text('kind', 16) === 'hello' && reader.text('side', 16) === side && bound) {
      return { host, fields: reader.value('fields') };
    }
  } catch (error) {
    if (!hasCode(error, 'FORMAT_INVALID') && !hasCode(error, 'SIGNATURE_INVALID')) throw error;
    throw new DiskswarmError('PROTOCOL_ERROR', 'the hello does not verify', { cause: error });
  }
  throw new DiskswarmError('PROTOCOL_ERROR', 'the hello belongs to another connection or side');
}
