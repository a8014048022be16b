/** A disk's hosts and tokens in words. */
import type { ControlResult } from '../control/methods.ts';
import { table } from './words.ts';

export function membersText({ members, tokens }: ControlResult<'disk.members'>): string {
  const rows = members.map(({ hostId, role, revoked, token, use }) => [
    hostId.slice(0, 8),
    revoked ? `${role}, revoked` : role,
    token === null ? 'named by the owner' : `token ${token}, use ${use}`,
    hostId,
  ]);
  const hosts = table(['HOST', 'ROLE', 'CAME BY', 'ID'], rows);
  if (tokens.length === 0) return hosts;
  const lines = tokens.map(({ token, role, uses, used, state, expires, redeemerHostId }) => [
    token,
    role,
    `${used} of ${uses}`,
    state,
    expires,
    redeemerHostId.slice(0, 8),
  ]);
  return `${hosts}\n\n${table(['TOKEN', 'ROLE', 'USED', 'STATE', 'EXPIRES', 'REDEEMED BY'], lines)}`;
}
