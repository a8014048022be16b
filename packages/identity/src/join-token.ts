/**
 * A join token: one line for a whole lab. Whoever has it may become a member of one disk, until its uses are up, it expires or is
 * taken back (design D3).
 *
 * The owner signs it, and lists it in the roster (roster-token.ts) with the host that redeems it. The line has no swarm secret:
 * it opens the redeeming host's door (its secret is proven like a swarm secret), and that host counts. A copied line is worth
 * what is left of its uses, and once it is void, nothing.
 */
import { blake3, DiskswarmError, type HostId, hasCode, messageOf, type Random, type TokenId } from '@diskswarm/core';
import { decodeGenesis, type Genesis } from './genesis.ts';
import { HOST_BYTES, hostFromBytes, hostToBytes } from './host-keys.ts';
import { MAX_GENESIS_BYTES, MAX_TOKEN_BYTES } from './limits.ts';
import type { Owner } from './owner.ts';
import { checkPlaces, type Places, readPlaces } from './places.ts';
import { KEY_BYTES } from './primitives.ts';
import { type RosterToken, TOKEN_ID_BYTES, type TokenRole, tokenIdFromBytes } from './roster-token.ts';
import { openRecord, sealRecord } from './signed-record.ts';
import { wrapSecret } from './swarm-secret.ts';
import { lineInvalid, openTextLine, textLineOf } from './text-line.ts';

const PREFIX = 'dst1';
const MAX_LINE_CHARS = 2 * MAX_TOKEN_BYTES;
const WHAT = 'token';

/** What a token's line says. */
export interface JoinToken extends Places {
  readonly genesis: Genesis;
  /** 32 secret bytes that the redeeming host knows. */
  readonly secret: Uint8Array;
  readonly redeemer: HostId;
}

/** Names a token without telling its secret. */
export function tokenIdOf(secret: Uint8Array): TokenId {
  const hash = blake3(Buffer.concat([Buffer.from('diskswarm token id v1\n', 'latin1'), secret]));
  return tokenIdFromBytes(hash.subarray(0, TOKEN_ID_BYTES));
}

/** A new token as the roster lists it, and its secret for the line. */
export function newToken(
  wanted: { genesis: Genesis; redeemer: HostId; role: TokenRole; uses: number; expiresMs: number },
  random: Random,
): { token: RosterToken; secret: Uint8Array } {
  const { genesis, redeemer, role, uses, expiresMs } = wanted;
  const secret = random.bytes(KEY_BYTES);
  const box = wrapSecret(secret, redeemer, genesis.disk, random);
  return { token: { id: tokenIdOf(secret), redeemer, role, uses, used: 0, expiresMs, revoked: false, box }, secret };
}

/** True for a line that claims to be a token, of any version. */
export function isTokenLine(text: string): boolean {
  return /^\s*dst\d/.test(text);
}

/** The line. INVALID_ARGUMENT. */
export function createTokenLine(content: JoinToken, owner: Owner): string {
  checkPlaces(content);
  const { genesis, secret, redeemer, trackers, addresses, name } = content;
  const body = {
    kind: WHAT,
    genesis: genesis.bytes,
    secret,
    redeemer: hostToBytes(redeemer),
    trackers,
    addresses,
    name,
  };
  return textLineOf(PREFIX, sealRecord('token', body, owner.signingSeed).bytes);
}

/** Reads a line; INVITATION_INVALID with a `LineRefusal` in `data.reason`. */
export function parseTokenLine(text: string): JoinToken {
  const bytes = openTextLine(text, { prefix: PREFIX, what: WHAT, maxChars: MAX_LINE_CHARS });
  try {
    const known = ['kind', 'genesis', 'secret', 'redeemer', 'trackers', 'addresses', 'name'];
    const record = openRecord(bytes, { domain: 'token', what: WHAT, maxBytes: MAX_TOKEN_BYTES, known });
    const { reader } = record;
    const genesis = decodeGenesis(reader.bytes('genesis', { max: MAX_GENESIS_BYTES }));
    record.verify(genesis.owner);
    return {
      genesis,
      secret: reader.bytes('secret', { length: KEY_BYTES }),
      redeemer: hostFromBytes(reader.bytes('redeemer', { length: HOST_BYTES })),
      ...readPlaces(reader, WHAT),
    };
  } catch (error) {
    if (!(error instanceof DiskswarmError)) throw error;
    throw lineInvalid(WHAT, hasCode(error, 'SIGNATURE_INVALID') ? 'forged' : 'malformed', messageOf(error), error);
  }
}
