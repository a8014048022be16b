/** Systems that move a running machine. */
import type { Experiment } from '../experiment/experiment.ts';
import { checkContent } from '../hosts/disk-content.ts';
import type { Move, MoveOptions } from '../hosts/measure-move.ts';
import { moveByAgents } from '../hosts/moves.ts';
import { moveByMirror, moveFrozen, moveMemoryAlone, moveOnDemand } from '../hosts/qemu-moves.ts';
import { GUEST_TAP } from '../link/link.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { GuestSystem, RunContext } from './system.ts';

/** The one that the additional disruption of others is counted from: what moving only the memory disturbs. */
export const MEMORY_ALONE = 'memory-alone';
/** The guest's network device, the same at both ends. */
export function networkOf(mac: string): readonly string[] {
  return [
    ...['-netdev', `tap,id=net0,ifname=${GUEST_TAP},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=net0,mac=${mac},romfile=`],
  ];
}
const MAC = '52:54:00:d5:00:09';
/** How long a guest at work is watched before it moves; in a small run. */
const BEFORE_MS = 6000;
const SMALL_BEFORE_MS = 2000;

/** How long this experiment watches. */
export function beforeMsOf({ smoke }: Pick<Experiment, 'smoke'>): number {
  return smoke ? SMALL_BEFORE_MS : BEFORE_MS;
}

function moving(
  system: Omit<GuestSystem, 'kind' | 'run'> & { move(options: MoveOptions): Promise<Move> },
): GuestSystem {
  const { move, ...rest } = system;
  return {
    ...rest,
    kind: 'move',
    async run({ experiment, run, artefacts, folder, line, record, log }) {
      const { wireBytes, stopToResumeMs, ended } = await move({
        ...{ folder, line, artefacts, writesKib: 0, args: networkOf(MAC), record, log },
        ...{ memoryMib: experiment.guest.memoryMib, limitMs: experiment.limitSeconds * 1000 },
        beforeMs: beforeMsOf(experiment),
        work: workOf(run, line, record),
        async arrived(disk) {
          record('compared', performance.now(), { blocks: await checkContent(artefacts.rootImage, disk) });
        },
      });
      record('moved', performance.now(), { wireBytes, stopToResumeMs, ended });
    },
  };
}

function workOf({ workload, seed }: RunContext['run'], line: RunContext['line'], record: RunContext['record']) {
  const chosen = WORKLOADS.find(({ name }) => name === workload.name)!;
  let end = async (): Promise<void> => {};
  return {
    onDisk: chosen.diskMib(workload.settings) > 0,
    async begin(guest: Parameters<NonNullable<MoveOptions['work']>['begin']>[0]) {
      if (chosen.kind !== 'move') return;
      const { settings } = workload;
      end = await chosen.begin({ guest, settings, seed, record, clientPrefix: line.near.prefix });
    },
    end: () => end(),
  };
}

function diskswarm(mode: 'precopy' | 'hybrid' | 'postcopy', about: string): GuestSystem {
  return moving({
    name: `diskswarm-${mode}`,
    about: `${about}, memory compressed, the guest's writes slowed where the line cannot follow them, as is the default; done when the destination's receipts say that nothing depends on the source`,
    programs: ['nbdcopy'],
    move: (options) => moveByAgents({ ...options, mode }),
  });
}

function mirror(copyMode: 'background' | 'write-blocking', about: string): GuestSystem {
  return moving({
    name: `mirror-${copyMode}`,
    about: `QEMU's mirror as libvirt uses it, ${about}, memory compressed, nothing slows the guest (no auto-converge, no throttle group); done when the guest runs at the destination`,
    programs: [],
    move: (options) => moveByMirror({ ...options, copyMode, compressed: true }),
  });
}

export const MOVE_SYSTEMS: readonly GuestSystem[] = [
  diskswarm('precopy', 'the whole disk before the guest moves'),
  diskswarm('hybrid', 'the disk while the memory moves, what is left on demand and in the background'),
  diskswarm('postcopy', 'the memory at once, the disk on demand and in the background'),
  mirror('background', 'writes copied later'),
  mirror('write-blocking', 'writes acknowledged when both ends have them'),
  moving({
    name: 'freeze-copy',
    about:
      'the guest stands still while qemu-img copies its disk and then its memory moves, compressed; done when it runs again',
    programs: ['qemu-img'],
    move: (options) => moveFrozen({ ...options, compressed: true }),
  }),
  moving({
    name: 'nbd-on-demand',
    about:
      'a qcow2 overlay over a remote qemu-nbd, copy-on-read, memory compressed; done when QEMU has streamed the rest',
    programs: ['qemu-img'],
    move: (options) => moveOnDemand({ ...options, compressed: true }),
  }),
  moving({
    name: MEMORY_ALONE,
    about:
      'no disk moves: it is on storage that both ends share outside the line; memory compressed; what others add to is counted from here',
    programs: [],
    reference: true,
    move: moveMemoryAlone,
  }),
];
