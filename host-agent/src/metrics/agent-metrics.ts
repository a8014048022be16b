/**
 * Everything that an agent tells Prometheus, in one page: what each name means is its help text here, and docs/OPERATIONS.md lists them.
 *
 * Labels are bounded: a disk's name, and words of fixed lists. Nothing names a host, an address or a secret.
 */
import { MetricsPage } from '@diskswarm/metrics';
import type { Agent } from '../agent/agent.ts';
import type { MoveCounts } from '../migration/move-counts.ts';
import { diskMetrics, readDisk } from './disk-metrics.ts';
import { hostMetrics } from './host-metrics.ts';

export interface MetricsSource {
  readonly agent: Agent;
  readonly moves: MoveCounts;
  /** States of this host's machines, one for each. */
  readonly machineStates: () => readonly string[];
}

/** The page as of now. */
export async function agentMetrics(source: MetricsSource): Promise<string> {
  const readings = (await Promise.all(source.agent.disks.map(readDisk))).filter((reading) => reading !== null);
  const page = new MetricsPage('diskswarm_');
  hostMetrics(page, source);
  diskMetrics(page, readings);
  return `${page.text}${processMetrics()}`;
}

/** What every exporter tells of its process, under the names that are usual for it. */
function processMetrics(): string {
  const page = new MetricsPage('process_');
  const { user, system } = process.cpuUsage();
  page.counter('cpu_seconds_total', 'Processor time of the agent, its threads included.', (user + system) / 1e6);
  page.gauge('resident_memory_bytes', 'Resident memory of the agent.', process.memoryUsage.rss());
  page.gauge('start_time_seconds', 'When the agent started, since 1970.', Date.now() / 1000 - process.uptime());
  return page.text;
}
