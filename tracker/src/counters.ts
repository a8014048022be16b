/**
 * What the tracker did since it started, for /stats (JSON) and /metrics (Prometheus text, version 0.0.4).
 *
 * Sums only: nothing here names a swarm, an address or a peer. Counters are plain numbers that the adapters raise.
 */
import { MetricsPage, type Sample } from '@diskswarm/metrics';

/** Why something was not answered as asked. */
export type Refusal = 'malformed' | 'connection' | 'limit' | 'full' | 'busy' | 'blob';

/** Counts since the start. */
export class Counters {
  readonly announces = { http: 0, udp: 0 };
  readonly scrapes = { http: 0, udp: 0 };
  connects = 0;
  readonly refused: { [Reason in Refusal]: number } = {
    malformed: 0,
    connection: 0,
    limit: 0,
    full: 0,
    busy: 0,
    blob: 0,
  };
}

/** What is the case now. */
export interface Gauges {
  readonly swarms: number;
  readonly peers: number;
  /** Swarms that have news. */
  readonly news: number;
  readonly uptimeSeconds: number;
  /** Whether what is known is being kept over a restart; null when nobody asked for it. */
  readonly journal: boolean | null;
  /** Whether the shared store can be reached; null when there is none. */
  readonly store: boolean | null;
}

/** For people and scripts. */
export function statsText(counters: Counters, gauges: Gauges): string {
  const { announces, scrapes, connects, refused } = counters;
  return `${JSON.stringify({ ...gauges, announces, scrapes, connects, refused }, null, 2)}\n`;
}

/** For Prometheus. */
export function metricsText(counters: Counters, gauges: Gauges): string {
  const page = new MetricsPage('diskswarm_tracker_');
  const by = (label: string, counts: object): Sample[] =>
    Object.entries(counts).map(([value, count]) => [{ [label]: value }, count as number]);
  page.gauge('swarms', 'Swarms with at least one peer.', gauges.swarms);
  page.gauge('peers', 'Peers of all swarms.', gauges.peers);
  page.gauge('news', 'Swarms whose news of a generation is kept.', gauges.news);
  page.gauge('uptime_seconds', 'Seconds since the start.', gauges.uptimeSeconds);
  if (gauges.journal !== null)
    page.gauge('journal_ok', '1 while what is known is kept over a restart.', Number(gauges.journal));
  if (gauges.store !== null) page.gauge('store_ok', '1 while the shared store can be reached.', Number(gauges.store));
  page.counter('announces_total', 'Announces answered.', by('transport', counters.announces));
  page.counter('scrapes_total', 'Scrapes answered.', by('transport', counters.scrapes));
  page.counter('connects_total', 'Connection ids given out by datagram.', counters.connects);
  page.counter('refused_total', 'Questions not answered as asked.', by('reason', counters.refused));
  return page.text;
}
