/**
 * @module host-agent
 * The composition root: the agent of one host, its control socket and the command line.
 *
 * Exported for scenarios and benches, which compose it themselves; users run `diskswarm`.
 */
export { Agent } from './agent/agent.ts';
export type { AgentOptions, NewDisk } from './agent/agent-options.ts';
export { controlHandlers } from './agent/control-handlers.ts';
export type { ManagedDisk } from './agent/managed-disk.ts';
export { type RunningAgent, type RunOptions, runAgent } from './agent/run.ts';
export { SharedSources, type SharingDisk, type SharingHost } from './agent/shared-sources.ts';
export { LocalAttachment, localOpener } from './attachment/local-attachment.ts';
export type { BenchProgram, BenchResult } from './cli/commands/bench.ts';
export { callAgent } from './control/client.ts';
export type * from './control/methods.ts';
export { Migrations } from './migration/migrations.ts';
export type { SourceRunner } from './migration/source-runner.ts';
export type { ProcessIdentity } from './state/process-identity.ts';
export type { Machinery, Outlet, QemuProcess } from './vm/machinery.ts';
export type { QemuCommand } from './vm/qemu-command.ts';
export { VmManager } from './vm/vm-manager.ts';
