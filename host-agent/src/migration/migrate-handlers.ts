/** `vm.migrate`, its status and its cancel, as the control socket asks for them. */
import { DiskswarmError, type HostId, sleep } from '@diskswarm/core';
import { parseHostId } from '@diskswarm/identity';
import { forecastMigration } from '@diskswarm/migration';
import type { Agent } from '../agent/agent.ts';
import { codeOf } from '../agent/ownership-driver.ts';
import type { MigrationEstimate, MigrationStatus } from '../control/methods.ts';
import type { ControlHandlers } from '../control/server.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import { knownRisks } from './known-risks.ts';
import { memoryMoves } from './memory-progress.ts';
import type { Migrations } from './migrations.ts';
import { LinkRates, type Observed, observeMove } from './move-observation.ts';
import { phaseWords } from './phase-words.ts';
import type { SourceRunner } from './source-runner.ts';

type MigrateHandlers = Pick<ControlHandlers, 'vm.migrate' | 'vm.migrateStatus' | 'vm.migrateCancel'>;

/** Who watches is told at least so often apart. */
const WATCH_MS = 500;
/** A move that begins waits no longer for the link to be measured. */
const MEASURE_PATIENCE_MS = 600;

export function migrateHandlers(agent: Agent, vms: VmManager, migrations: Migrations): MigrateHandlers {
  const rates = new LinkRates(agent);
  const runnerOf = (name: string): SourceRunner => {
    const runner = migrations.leaving(vms.vm(name).name);
    if (runner === null)
      throw new DiskswarmError(
        'VM_STATE',
        `machine "${name}" was not moved from here since the agent started; \`vm info\` has its last record`,
        {
          data: { vm: name },
        },
      );
    return runner;
  };
  return {
    'vm.migrate': async (params, { signal, emit }) => {
      const vm = vms.vm(params.name);
      const to = parseHostId(params.to);
      const wishes = {
        diskMode: params.disk,
        memoryMode: params.memory,
        maxDowntimeMs: params.maxDowntimeMs,
        bytesPerSecond: params.bandwidthBytesPerSecond,
        compress: params.compress,
        autoConverge: params.autoConverge,
        throttle: params.throttle,
      };
      if (params.plan) {
        assertConnected(vm, to);
        const { version } = await vms.machinery.program();
        return estimateOf(vm, to, version, await observeMove({ agent, vm, to, rates }, wishes));
      }
      // The link first, while the other host prepares: what the move itself sends would be in the way.
      const { clock, log } = agent.env;
      const measured = Promise.race([rates.to(to, vm.disks()), sleep(clock, MEASURE_PATIENCE_MS)]);
      const observing = measured.then(() => observeMove({ agent, vm, to, rates }, wishes));
      const runner = await migrations.leave(vm, to, { ...wishes, measured }).catch((error: unknown) => {
        observing.catch(() => {}); // Nothing is planned any more.
        throw error;
      });
      observing
        .then(({ observation }) => runner.planned(forecastMigration(observation), observation.memoryBytes))
        .catch((error: unknown) => log.warn({ vm: vm.name }, `a move could not be planned: ${String(error)}`));
      await follow(
        agent,
        runner,
        // A host that has the machine and cannot be heard says no word of its running either.
        (state) => state.phase === 'ended' || (state.phase === 'post' && (state.running || !runner.connected)),
        emit,
        signal,
      );
      await failureOf(runner);
      return statusOf(runner);
    },
    'vm.migrateStatus': async ({ name, watch }, { signal, emit }) => {
      const runner = runnerOf(name);
      if (watch) {
        const over = new AbortController();
        const ticking = tick(agent, () => emit(statusOf(runner)), AbortSignal.any([signal, over.signal]));
        try {
          await follow(agent, runner, (state) => state.phase === 'ended', emit, signal);
        } finally {
          over.abort();
          await ticking;
        }
        await runner.settled;
      }
      return statusOf(runner);
    },
    'vm.migrateCancel': async ({ name }) => {
      const runner = runnerOf(name);
      runner.cancel();
      await runner.settled;
      return statusOf(runner);
    },
  };
}

/** Rates and remainders change also while no event comes. */
async function tick(agent: Agent, tell: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    tell();
    await sleep(agent.env.clock, 2 * WATCH_MS, { signal }).catch(() => {}); // Over.
  }
}

async function follow(
  agent: Agent,
  runner: SourceRunner,
  until: (state: SourceRunner['state']) => boolean,
  emit: (status: MigrationStatus) => void,
  signal: AbortSignal,
): Promise<void> {
  let told = '';
  let toldUs = 0;
  const tell = (): void => {
    const { phase, round } = runner.state;
    const now = `${phase} ${round}`;
    const nowUs = agent.env.clock.nowUs();
    if (now === told && nowUs - toldUs < WATCH_MS * 1000) return;
    told = now;
    toldUs = nowUs;
    emit(statusOf(runner));
  };
  await runner.changed.until(
    () => {
      tell();
      return until(runner.state);
    },
    { signal },
  );
}

/** Throws what ended it, once the guest runs again. */
async function failureOf(runner: SourceRunner): Promise<void> {
  const { outcome } = runner.state;
  if (outcome === null || outcome.result === 'done') return;
  await runner.settled;
  const { code, message, result } = outcome;
  const { name } = runner.vm;
  throw new DiskswarmError(
    result === 'cancelled' ? 'ABORTED' : 'MIGRATION_FAILED',
    result === 'lost'
      ? `machine "${name}" lost its memory on the way: ${message}. Its disks are on the other host, whole as of the pause: start it there with \`diskswarm vm start ${name}\``
      : `machine "${name}" was not moved, and goes on here: ${message}`,
    { data: { vm: name, to: runner.to, reason: codeOf(code), result } },
  );
}

function statusOf(runner: SourceRunner): MigrationStatus {
  const { phase, round } = runner.state;
  const { vm, to, memoryBytes, report, traffic, memory } = runner;
  return {
    event: 'migration',
    name: vm.name,
    to,
    phase,
    phaseText: phaseWords(runner.state),
    elapsedMs: report.elapsedMs,
    round,
    missingBytes: missingOf(runner),
    memoryBytes,
    diskBytes: traffic.diskBytes(),
    memory: memoryMoves(runner.state) ? memory.state : null,
    link: traffic.use(memoryBytes),
    sources: traffic.statistics?.sources ?? null,
    faults: traffic.statistics?.faults ?? null,
    record: report.value,
  };
}

/** Of the round that is on its way; once the machine left, of its disks. */
function missingOf({ state, traffic }: SourceRunner): number | null {
  const over = state.phase === 'post' || state.outcome?.result === 'done';
  return over ? (traffic.statistics?.missingBytes ?? null) : state.missingBytes;
}

/** The plan as a user asks for it. */
function estimateOf(
  vm: Vm,
  to: HostId,
  qemuVersion: string,
  { observation, diskBytesMissing }: Observed,
): MigrationEstimate {
  const forecast = forecastMigration(observation);
  const { expectedMs } = forecast;
  return {
    name: vm.name,
    to,
    diskBytes: diskBytesMissing,
    diskBytesOnlyHere: observation.diskBytesOnlyHere,
    memoryBytes: vm.record.definition.memoryBytes,
    seconds: expectedMs === null ? null : Math.ceil(expectedMs / 1000),
    ...forecast,
    warnings: knownRisks(vm.record.definition, qemuVersion),
  };
}

function assertConnected(vm: Vm, to: HostId): void {
  for (const disk of vm.disks()) {
    if (disk.peers.link(to) !== undefined) continue;
    throw new DiskswarmError('PEER_UNREACHABLE', `host ${to} is not connected, or has not joined disk "${disk.name}"`, {
      data: { disk: disk.disk, host: to },
    });
  }
}
