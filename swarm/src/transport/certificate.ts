/**
 * A throw-away certificate: TLS wants one, nobody here checks it (design D9: the proofs run inside the channel).
 *
 * Node makes keys but no X.509, so the few fields are written in DER by hand: version 1, an empty name, a validity that
 * never ends, an ed25519 key that lives as long as the process. It names nothing that could be recognised later.
 */
import { generateKeyPairSync, sign } from 'node:crypto';

/** A private key and its certificate, both PEM. */
export interface ThrowAwayCertificate {
  readonly key: string;
  readonly cert: string;
}

/** ASN.1 tags of what is written here. */
const TAG = {
  integer: 0x02,
  bitString: 0x03,
  objectId: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;
/** 1.3.101.112 */
const ED25519 = Uint8Array.from([0x2b, 0x65, 0x70]);

/** A fresh key and certificate. */
export function createThrowAwayCertificate(): ThrowAwayCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const algorithm = der(TAG.sequence, der(TAG.objectId, ED25519));
  const emptyName = der(TAG.sequence);
  const validity = der(
    TAG.sequence,
    der(TAG.utcTime, Buffer.from('700101000000Z', 'latin1')),
    der(TAG.generalizedTime, Buffer.from('99991231235959Z', 'latin1')),
  );
  const body = der(
    TAG.sequence,
    der(TAG.integer, Uint8Array.of(1)),
    algorithm,
    emptyName,
    validity,
    emptyName,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign(null, body, privateKey);
  const certificate = der(TAG.sequence, body, algorithm, der(TAG.bitString, Uint8Array.of(0), signature));
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, cert: pem(certificate) };
}

/** A tag, the length of the parts, and the parts. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const { length } = content;
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.from(header), content]);
}

function pem(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
