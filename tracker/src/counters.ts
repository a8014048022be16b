/**
 * What the tracker did since it started, for /stats (JSON) and /metrics (Prometheus text, version 0.0.4).
 *
 * Sums only: nothing here names a swarm, an address or a peer. Counters are plain numbers that the adapters raise.
 */

/** Why something was not answered as asked. */
export type Refusal = 'malformed' | 'connection' | 'limit' | 'full' | 'busy';

/** Counts since the start. */
export class Counters {
  readonly announces = { http: 0, udp: 0 };
  readonly scrapes = { http: 0, udp: 0 };
  connects = 0;
  readonly refused: { [Reason in Refusal]: number } = { malformed: 0, connection: 0, limit: 0, full: 0, busy: 0 };
}

/** What is the case now. */
export interface Gauges {
  readonly swarms: number;
  readonly peers: number;
  readonly uptimeSeconds: number;
  /** Whether what is known is being kept over a restart; null when nobody asked for it. */
  readonly journal: boolean | null;
}

/** For people and scripts. */
export function statsText(counters: Counters, gauges: Gauges): string {
  const { announces, scrapes, connects, refused } = counters;
  return `${JSON.stringify({ ...gauges, announces, scrapes, connects, refused }, null, 2)}\n`;
}

/** For Prometheus. */
export function metricsText(counters: Counters, gauges: Gauges): string {
  const lines: string[] = [];
  const family = (name: string, type: 'counter' | 'gauge', help: string, values: readonly [string, number][]): void => {
    lines.push(`# HELP diskswarm_tracker_${name} ${help}`, `# TYPE diskswarm_tracker_${name} ${type}`);
    for (const [labels, value] of values) lines.push(`diskswarm_tracker_${name}${labels} ${value}`);
  };
  const by = (label: string, counts: object): [string, number][] =>
    Object.entries(counts).map(([value, count]) => [`{${label}="${value}"}`, count as number]);
  family('swarms', 'gauge', 'Swarms with at least one peer.', [['', gauges.swarms]]);
  family('peers', 'gauge', 'Peers of all swarms.', [['', gauges.peers]]);
  family('uptime_seconds', 'gauge', 'Seconds since the start.', [['', gauges.uptimeSeconds]]);
  if (gauges.journal !== null)
    family('journal_ok', 'gauge', '1 while what is known is kept over a restart.', [['', Number(gauges.journal)]]);
  family('announces_total', 'counter', 'Announces answered.', by('transport', counters.announces));
  family('scrapes_total', 'counter', 'Scrapes answered.', by('transport', counters.scrapes));
  family('connects_total', 'counter', 'Connection ids given out by datagram.', [['', counters.connects]]);
  family('refused_total', 'counter', 'Questions not answered as asked.', by('reason', counters.refused));
  return `${lines.join('\n')}\n`;
}
