/** What concerns the host as a whole: its peers, machines, moves, store and journal. */
import type { MetricsPage, Sample } from '@diskswarm/metrics';
import { SOURCE_KINDS, sourceKindOf } from '../agent/source-kind.ts';
import { MOVE_RESULTS } from '../migration/move-counts.ts';
import type { MetricsSource } from './agent-metrics.ts';

const MACHINE_STATES = ['running', 'incoming', 'stopped', 'moved', 'inDoubt'];

export function hostMetrics(page: MetricsPage, { agent, moves, machineStates }: MetricsSource): void {
  const { swarm, store, meta } = agent.env;
  page.gauge('disks', 'Disks that this host knows.', agent.disks.length);

  const kinds = swarm.peers().map(({ address }) => sourceKindOf(address));
  page.gauge('peers', 'Connected hosts, by what the connection goes over.', counted('source', SOURCE_KINDS, kinds));
  page.gauge('banned_hosts', 'Hosts that are kept away because they broke the protocol.', swarm.bans().length);
  const answers = trackerAnswers(agent).map((ok) => (ok ? 'yes' : 'no'));
  page.gauge('trackers', 'Trackers, by whether the last announce was answered.', counted('ok', ['yes', 'no'], answers));

  page.gauge('machines', 'Virtual machines, by state.', counted('state', MACHINE_STATES, machineStates()));
  page.gauge('migrations_running', 'Machines that are being moved now.', [
    [{ direction: 'out' }, moves.running('out')],
    [{ direction: 'in' }, moves.running('in')],
  ]);
  page.counter(
    'migrations_total',
    'Moves of machines that ended, by result.',
    (['out', 'in'] as const).flatMap((direction) =>
      MOVE_RESULTS[direction].map((result): Sample => [{ direction, result }, moves.ended(direction, result)]),
    ),
  );
  page.counter('migration_sent_bytes_total', 'Bytes that left this host in moves of machines.', [
    [{ kind: 'memory' }, moves.sentMemoryBytes],
    [{ kind: 'disk' }, moves.sentDiskBytes],
  ]);

  const stored = store.stats();
  page.gauge('store_chunks', 'Chunks and manifest pages in the store that some disk has.', stored.chunks);
  page.gauge('store_chunk_bytes', 'Bytes of these.', stored.bytes);
  page.gauge('store_packs', 'Pack files.', stored.packs);
  page.gauge('store_pack_bytes', 'Bytes of the pack files.', stored.packBytes);
  page.gauge('store_dead_bytes', 'Bytes in pack files that no disk needs any more.', stored.deadBytes);
  page.gauge('store_index_bytes', "Memory of the store's index.", stored.indexBytes);

  const journal = meta.journal;
  page.gauge('journal_size_bytes', 'Size of the metadata journal, without its reserve.', journal.sizeBytes);
  page.gauge('journal_records', 'Records that a restart replays.', journal.records);
  page.gauge('journal_reserved_bytes', 'Space kept for the journal on a full disk.', journal.reservedBytes);
}

/** Whether each tracker answered; one that several disks use counts once, and as failing if it failed any. */
function trackerAnswers(agent: MetricsSource['agent']): boolean[] {
  const answers = new Map<string, boolean>();
  for (const { disk } of agent.disks) {
    for (const { url, ok } of agent.trackersOf(disk)) answers.set(url, ok === true && answers.get(url) !== false);
  }
  return [...answers.values()];
}

/** How often each of `values` occurs, zeros included. */
function counted(label: string, values: readonly string[], found: readonly string[]): Sample[] {
  return values.map((value) => [{ [label]: value }, found.filter((each) => each === value).length]);
}
