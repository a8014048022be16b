/** What the control socket can ask of this host's virtual machines, carried out. */
import type { Agent } from '../agent/agent.ts';
import type { VmInfo } from '../control/methods.ts';
import type { ControlHandlers } from '../control/server.ts';
import { migrateHandlers } from '../migration/migrate-handlers.ts';
import type { Migrations } from '../migration/migrations.ts';
import { adoptVm } from './adopt.ts';
import type { Vm } from './vm.ts';
import type { VmManager } from './vm-manager.ts';

export type VmHandlers = Pick<ControlHandlers, Extract<keyof ControlHandlers, `vm.${string}`>>;

export function vmHandlers(agent: Agent, vms: VmManager, migrations: Migrations): VmHandlers {
  const info = (vm: Vm): VmInfo => vmInfo(agent, vm);
  return {
    ...migrateHandlers(agent, vms, migrations),
    'vm.start': async (wanted) => info(await vms.startNew(wanted)),
    'vm.adopt': async (wanted) => info(await adoptVm(agent, vms, wanted)),
    'vm.stop': async ({ name, force }, { signal }) => {
      const vm = vms.vm(name);
      await vm.stop({ force, signal });
      return info(vm);
    },
    'vm.ls': async () => ({ vms: vms.list().map(info) }),
    'vm.info': async ({ name }) => info(vms.vm(name)),
    'vm.allow': async ({ args }) => ({ allowed: [...(await vms.allow(args))] }),
  };
}

function vmInfo(agent: Agent, vm: Vm): VmInfo {
  const { definition, state, reason, consoleSocket, report, foreign } = vm.record;
  const { name, memoryBytes, cpus, machine, accel, args } = definition;
  return {
    name,
    state,
    reason,
    memoryBytes,
    cpus,
    machine,
    accel,
    disks: definition.disks.map((diskId) => ({
      diskId,
      name: agent.disks.find(({ disk }) => disk === diskId)?.name ?? null,
    })),
    args,
    pid: vm.process?.identity?.pid ?? null,
    adopted: foreign === true,
    consoleSocket,
    consoleLog: vm.consoleLog,
    migration: report === '' ? null : (JSON.parse(report) as Record<string, unknown>),
  };
}
