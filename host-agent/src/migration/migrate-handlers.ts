/** `vm.migrate`, its status and its cancel, as the control socket asks for them. */
import { DiskswarmError, type HostId, type PieceIndex } from '@diskswarm/core';
import { parseHostId } from '@diskswarm/identity';
import type { Agent } from '../agent/agent.ts';
import { codeOf } from '../agent/ownership-driver.ts';
import type { MigrationEstimate, MigrationStatus } from '../control/methods.ts';
import type { ControlHandlers } from '../control/server.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import type { Migrations } from './migrations.ts';
import type { SourceRunner } from './source-runner.ts';

type MigrateHandlers = Pick<ControlHandlers, 'vm.migrate' | 'vm.migrateStatus' | 'vm.migrateCancel'>;

/** Who watches is told at least so often apart. */
const WATCH_MS = 500;

export function migrateHandlers(agent: Agent, vms: VmManager, migrations: Migrations): MigrateHandlers {
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
      if (params.plan) return estimate(vm, to, params.bandwidthBytesPerSecond);
      const runner = await migrations.leave(vm, to, {
        diskMode: params.disk,
        maxDowntimeMs: params.maxDowntimeMs,
        bytesPerSecond: params.bandwidthBytesPerSecond,
        compress: params.compress,
        autoConverge: params.autoConverge,
        throttle: params.throttle,
      });
      await follow(
        agent,
        runner,
        (state) => state.phase === 'ended' || (state.phase === 'post' && state.running),
        emit,
        signal,
      );
      await failureOf(runner);
      return statusOf(runner);
    },
    'vm.migrateStatus': async ({ name, watch }, { signal, emit }) => {
      const runner = runnerOf(name);
      if (watch) await follow(agent, runner, (state) => state.phase === 'ended', emit, signal);
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
  throw new DiskswarmError(
    result === 'cancelled' ? 'ABORTED' : 'MIGRATION_FAILED',
    `machine "${runner.vm.name}" was not moved, and goes on here: ${message}`,
    { data: { vm: runner.vm.name, to: runner.to, reason: codeOf(code), result } },
  );
}

function statusOf(runner: SourceRunner): MigrationStatus {
  const { phase, round, missingBytes } = runner.state;
  const { vm, to, memoryBytes, report } = runner;
  return { event: 'migration', name: vm.name, to, phase, round, missingBytes, memoryBytes, record: report.value };
}

/** By what hosts claim now; a piece of which nothing is known counts as missing. */
async function estimate(vm: Vm, to: HostId, limit: number | null): Promise<MigrationEstimate> {
  let diskBytes = 0;
  let diskBytesOnlyHere = 0;
  let measured = 0;
  for (const disk of vm.disks()) {
    const view = disk.content.head;
    const link = disk.peers.link(to);
    if (link === undefined)
      throw new DiskswarmError(
        'PEER_UNREACHABLE',
        `host ${to} is not connected, or has not joined disk "${disk.name}"`,
        {
          data: { disk: disk.disk, host: to },
        },
      );
    if (view === null) continue;
    const { generation, geometry } = view.subject;
    measured = Math.max(measured, link.channel.sent.bytesPerSecond);
    for (let piece = 0 as PieceIndex; piece < view.piecesTotal; piece = (piece + 1) as PieceIndex) {
      if (!view.has(piece)) continue;
      const holders = [...disk.peers.holders(generation, piece)].filter(({ certainty }) => certainty === 'has');
      if (holders.some(({ channel }) => channel.host === to)) continue;
      diskBytes += geometry.chunkSizeBytes;
      if (holders.length === 0) diskBytesOnlyHere += geometry.chunkSizeBytes;
    }
  }
  const { memoryBytes } = vm.record.definition;
  const linkBytesPerSecond = limit ?? (measured > 0 ? Math.round(measured) : null);
  const seconds =
    linkBytesPerSecond === null ? null : Math.ceil((diskBytesOnlyHere + memoryBytes) / linkBytesPerSecond);
  return { name: vm.name, to, diskBytes, diskBytesOnlyHere, memoryBytes, linkBytesPerSecond, seconds };
}
