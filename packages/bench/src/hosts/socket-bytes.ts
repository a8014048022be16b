/**
 * Bytes that the sockets of a host received, as the kernel counts them: payload, encryption and protocol, without TCP's own
 * headers. Asked with `ss`, for the connections between two listening ports, whichever side dialled.
 */
import { run } from '../programs.ts';
import type { AgentHost } from './agent-host.ts';

/** Received by `to` on its connections with `from`, by connection. */
export async function receivedBytes(to: AgentHost, from: AgentHost): Promise<ReadonlyMap<string, number>> {
  const own = portOf(to);
  const other = portOf(from);
  const { stdout } = await run(['ss', '--tcp', '--info', '--numeric', '--no-header', '--oneline']);
  const counts = new Map<string, number>();
  for (const line of stdout.split('\n')) {
    const [, , , local = '', remote = ''] = line.trim().split(/\s+/);
    if (!local.endsWith(`:${own}`) && !remote.endsWith(`:${other}`)) continue;
    counts.set(`${local} ${remote}`, Number(/bytes_received:(\d+)/.exec(line)?.[1] ?? 0));
  }
  return counts;
}

/** What came between two looks; connections that ended in between are not seen. */
export function bytesBetween(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [connection, count] of after) sum += count - (before.get(connection) ?? 0);
  return sum;
}

function portOf(host: AgentHost): string {
  return host.listen.slice(host.listen.lastIndexOf(':') + 1);
}
