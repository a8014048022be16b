/**
 * What a dashboard shows at one moment: the answers of the control API, without what a page has no use for.
 *
 * Arguments of machines, sockets and records stay here.
 */
import type { AgentStatus, MigrationStatus, VmInfo } from '../control/methods.ts';
import type { ControlHandlers } from '../control/server.ts';

export type ShownHandlers = Pick<ControlHandlers, 'status' | 'vm.ls' | 'vm.migrateStatus'>;

type ShownMachine = Pick<VmInfo, 'name' | 'state' | 'reason' | 'memoryBytes' | 'cpus'> & {
  readonly disks: readonly (string | null)[];
  readonly move: ShownMove | null;
};
type ShownMove = Pick<
  MigrationStatus,
  | 'to'
  | 'phase'
  | 'phaseText'
  | 'elapsedMs'
  | 'round'
  | 'missingBytes'
  | 'memoryBytes'
  | 'diskBytes'
  | 'memory'
  | 'link'
>;

export interface Snapshot {
  readonly hostId: string;
  readonly listen: string;
  readonly trackers: AgentStatus['trackers'];
  readonly disks: readonly object[];
  readonly machines: readonly ShownMachine[];
  /** Whether somebody is there who signs invitations. */
  readonly signer: boolean;
}

/** Asks the handlers as the control socket would. */
export async function takeSnapshot(handlers: ShownHandlers, signer: boolean): Promise<Snapshot> {
  const context = { signal: new AbortController().signal, emit: () => {} };
  const { hostId, listen, trackers, disks } = await handlers.status({}, context);
  const { vms } = await handlers['vm.ls']({}, context);
  const machines = await Promise.all(
    vms.map(async ({ name, state, reason, memoryBytes, cpus, disks: used }): Promise<ShownMachine> => {
      const moved = handlers['vm.migrateStatus']({ name, watch: false }, context);
      const move = await moved.then(shownMove, () => null); // It was not moved since the agent started.
      return { name, state, reason, memoryBytes, cpus, disks: used.map((disk) => disk.name), move };
    }),
  );
  return {
    hostId,
    listen,
    trackers,
    disks: disks.map(({ root: _root, attached, ...shown }) => ({
      ...shown,
      attached: attached === null ? null : { state: attached.state, clients: attached.clients },
    })),
    machines,
    signer,
  };
}

function shownMove(status: MigrationStatus): ShownMove {
  const { to, phase, phaseText, elapsedMs, round, missingBytes, memoryBytes, diskBytes, memory, link } = status;
  return { to, phase, phaseText, elapsedMs, round, missingBytes, memoryBytes, diskBytes, memory, link };
}
