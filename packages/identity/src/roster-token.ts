/**
 * Join tokens as the roster lists them: what a token allows, which host redeems it, and what that host knows it by.
 *
 * The owner's signature over the roster makes them count, and takes them back. Whether a token has expired is judged by the host
 * that redeems it, when it does; nobody else's decision reads a clock. The line that people pass on is in join-token.ts.
 */
import { type Canonical, fromHex, type HostId, RecordReader, type TokenId, toHex } from '@diskswarm/core';
import { HOST_BYTES, hostFromBytes, hostToBytes } from './host-keys.ts';
import { MAX_TOKEN_USES, MAX_TOKENS } from './limits.ts';
import { BOX_BYTES } from './swarm-secret.ts';

/** Bytes of a token's id. */
export const TOKEN_ID_BYTES = 8;
const TOKEN_ROLES = ['reader', 'keeper'] as const;
/** What a token can make of a host: who may write is named by its id. */
export type TokenRole = (typeof TOKEN_ROLES)[number];

/** A token that the owner made. */
export interface RosterToken {
  readonly id: TokenId;
  /** The host that lets others in by it. */
  readonly redeemer: HostId;
  readonly role: TokenRole;
  /** So many hosts, 1 to 1000. */
  readonly uses: number;
  /** So many of them are in the roster since the owner last signed. */
  readonly used: number;
  /** Wall clock of the redeeming host, milliseconds since 1970. */
  readonly expiresMs: number;
  /** Taken back: lets nobody in any more. */
  readonly revoked: boolean;
  /** The token's secret, wrapped for the redeeming host. */
  readonly box: Uint8Array;
}

export function tokenIdFromBytes(bytes: Uint8Array): TokenId {
  return toHex(bytes) as string as TokenId;
}

export function encodeToken(token: RosterToken): Canonical {
  const { id, redeemer, role, uses, used, expiresMs, revoked, box } = token;
  return {
    id: fromHex(id),
    redeemer: hostToBytes(redeemer),
    role: TOKEN_ROLES.indexOf(role),
    uses,
    used,
    expires: expiresMs,
    revoked: revoked ? 1 : 0,
    box,
  };
}

/** The tokens of a roster record; FORMAT_INVALID. */
export function decodeTokens(roster: RecordReader): RosterToken[] {
  const known = ['id', 'redeemer', 'role', 'uses', 'used', 'expires', 'revoked', 'box'];
  return roster.list('tokens', MAX_TOKENS).map((item) => {
    const reader = new RecordReader(item, 'roster token', known);
    const uses = reader.integer('uses', 1, MAX_TOKEN_USES);
    return {
      id: tokenIdFromBytes(reader.bytes('id', { length: TOKEN_ID_BYTES })),
      redeemer: hostFromBytes(reader.bytes('redeemer', { length: HOST_BYTES })),
      role: TOKEN_ROLES[reader.integer('role', 0, TOKEN_ROLES.length - 1)] as TokenRole,
      uses,
      used: reader.integer('used', 0, uses),
      expiresMs: reader.integer('expires', 0, Number.MAX_SAFE_INTEGER),
      revoked: reader.integer('revoked', 0, 1) === 1,
      box: reader.bytes('box', { length: BOX_BYTES }),
    };
  });
}
