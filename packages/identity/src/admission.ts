/**
 * An admission: the redeeming host of a join token signs that one more host came by it, and wraps the swarm secret for it.
 *
 * It counts only beside a roster that lists the token (admitted-roster.ts). Counting uses so that none is given twice is the
 * redeeming host's duty; the numbers are here so that nobody else takes more of them than the owner allowed.
 */
import { type DiskId, fromHex, type HostId, idFromBytes, idToBytes, type Random, type TokenId } from '@diskswarm/core';
import { HOST_BYTES, type HostKeys, hostFromBytes, hostKeysOf, hostToBytes } from './host-keys.ts';
import { MAX_RECORD_BYTES, MAX_TOKEN_USES } from './limits.ts';
import { KEY_BYTES } from './primitives.ts';
import type { TokenUse } from './roster.ts';
import { TOKEN_ID_BYTES, tokenIdFromBytes } from './roster-token.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import { BOX_BYTES, type SwarmSecret, secretIdOf, wrapSecret } from './swarm-secret.ts';

/** An admission whose signature holds. */
export interface Admission extends TokenUse {
  readonly disk: DiskId;
  readonly id: TokenId;
  /** The host that came. */
  readonly host: HostId;
  /** The host that let it in, and signed. */
  readonly redeemer: HostId;
  /** Names the swarm secret in `box`. */
  readonly secretId: Uint8Array;
  readonly box: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Lets `host` in as the given use of the token; `keys` are the redeeming host's. */
export function createAdmission(
  content: TokenUse & { disk: DiskId; host: HostId; secret: SwarmSecret },
  keys: HostKeys,
  random: Random,
): Admission {
  const { disk, id, use, host, secret } = content;
  const body = {
    kind: 'admission',
    disk: idToBytes(disk),
    token: fromHex(id),
    use,
    host: hostToBytes(host),
    redeemer: hostToBytes(keys.hostId),
    secret: secretIdOf(secret),
    box: wrapSecret(secret, host, disk, random),
  };
  return decodeAdmission(sealRecord('admission', body, keys.signingSeed).bytes);
}

/** Parses an admission and checks that the host it names as redeeming signed it; FORMAT_INVALID or SIGNATURE_INVALID. */
export function decodeAdmission(bytes: Uint8Array): Admission {
  const record = openRecord(bytes, {
    domain: 'admission',
    what: 'admission',
    maxBytes: MAX_RECORD_BYTES,
    known: ['kind', 'disk', 'token', 'use', 'host', 'redeemer', 'secret', 'box'],
  });
  const { reader } = record;
  reader.text('kind', 16);
  const redeemer = hostFromBytes(reader.bytes('redeemer', { length: HOST_BYTES }));
  record.verify(hostKeysOf(redeemer).signing);
  return {
    disk: idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })),
    id: tokenIdFromBytes(reader.bytes('token', { length: TOKEN_ID_BYTES })),
    use: reader.integer('use', 1, MAX_TOKEN_USES),
    host: hostFromBytes(reader.bytes('host', { length: HOST_BYTES })),
    redeemer,
    secretId: reader.bytes('secret', { length: KEY_BYTES }),
    box: reader.bytes('box', { length: BOX_BYTES }),
    bytes: record.bytes,
  };
}
