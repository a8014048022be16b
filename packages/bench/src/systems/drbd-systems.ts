/** DRBD as a system: replication of the disk while its guest works, which is what a move by DRBD waits for. */
import { prepareDrbdGuest } from '@diskswarm/guest';
import { type DrbdProtocol, replicateByDrbd } from '../hosts/drbd.ts';
import { beforeMsOf, networkOf } from './move-systems.ts';
import type { GuestSystem, RunContext } from './system.ts';

const PROTOCOLS: Readonly<Record<DrbdProtocol, string>> = {
  A: 'writes acknowledged when they are on their way',
  B: 'writes acknowledged when the other end has received them',
  C: 'writes acknowledged when both ends have them on disk',
};

function drbd(protocol: DrbdProtocol): GuestSystem {
  return {
    name: `drbd-${protocol.toLowerCase()}`,
    kind: 'move',
    about: `DRBD 8.4 inside two guests, protocol ${protocol}: ${PROTOCOLS[protocol]}; the disk alone, no memory moves and no guest changes places; done when both ends have all of it. Its workloads work on the bare disk`,
    programs: [],
    apart: true,
    workloads: ['idle', 'rewrite', 'diabolical'],
    async obtain(log) {
      await prepareDrbdGuest({ log });
    },
    async run({ experiment, run, artefacts, folder, line, record, log }) {
      const { wireBytes, ended } = await replicateByDrbd({
        ...{ folder, line, artefacts, protocol, record, log, work: commandOf(run), network: networkOf },
        ...{ memoryMib: experiment.guest.memoryMib, limitMs: experiment.limitSeconds * 1000 },
        ...{ bitsPerSecond: run.link.there.bitsPerSecond, beforeMs: beforeMsOf(experiment) },
      });
      record('moved', performance.now(), { wireBytes, ended });
    },
  };
}

/** The command of the guest's script for a workload. */
function commandOf({ workload: { name, settings } }: RunContext['run']): readonly (string | number)[] | null {
  if (name === 'rewrite') return ['rewrite', settings['region-mib']!, settings['kib-per-second']!];
  return name === 'diabolical' ? ['diabolical', settings['file-mib']!] : null;
}

export const DRBD_SYSTEMS: readonly GuestSystem[] = [drbd('A'), drbd('B'), drbd('C')];
