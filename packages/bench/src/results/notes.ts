/** What a report says of how it was measured: what is modelled, what was checked, and what must not be compared. */
import type { Experiment } from '../experiment/experiment.ts';
import { MEMORY_ALONE } from '../systems/move-systems.ts';
import { WORKLOADS } from '../workloads/index.ts';
import type { RunResult } from './collect.ts';
import { isApart, isPartial } from './words.ts';

type Kind = 'move' | 'boot' | 'roam';

/** What was modelled, what was checked in these runs, and how to compare. */
export function notesOf(experiment: Experiment, results: readonly RunResult[]): readonly string[] {
  const kind = kindOf(experiment);
  return [
    ...(kind === 'roam' ? ROAM_NOTES : MACHINE_NOTES),
    ...checkNotes(experiment, results, kind),
    ...apartNotes(experiment),
    ...partialNotes(experiment),
    ...(experiment.model === undefined ? [] : CROWD_NOTES),
    ...NOTES,
  ];
}

/** The kind of all of an experiment's workloads. */
export function kindOf({ workloads }: Pick<Experiment, 'workloads'>): Kind {
  return WORKLOADS.find(({ name }) => name === workloads[0]?.name)?.kind ?? 'move';
}

/** Only what the events of these runs tell: earlier versions of the bench checked less. */
function checkNotes({ systems }: Experiment, results: readonly RunResult[], kind: Kind): string[] {
  if (kind === 'roam') return [];
  if (kind === 'boot')
    return [
      'Before the clock starts and bytes are counted, agents run and have joined the disk (clones have met each other), and servers and seeds are up; what a host starts for itself to get the disk, such as an overlay or a download, belongs to its time.',
      'After every run the whole disk of each host was read and compared with the image; a run in which a byte differed failed.',
    ];
  const moves = results.filter(({ system, end }) => end === 'done' && !isApart(system));
  const compared = moves.every(({ compared }) => compared)
    ? ' Then it was stopped, and every block of content on the disk at the end that was reached was compared with the image.'
    : '';
  const drbd =
    'After every sync of DRBD the first host gave the disk up, the second took it, and all bytes of both were compared.';
  return [
    ...(systems.every(isApart)
      ? []
      : [
          `After every move that ended the guest read back, past its cache, what it had written and fsynced before it.${compared} A run in which something differed failed.`,
        ]),
    ...(systems.some(isApart) ? [drbd] : []),
  ];
}

/** How to read the marked systems; nothing where there are none. */
function apartNotes({ systems }: Experiment): string[] {
  const apart = systems.filter(isApart);
  if (apart.length === 0) return [];
  const inside = `† ${apart.join(', ')}: real DRBD, but inside emulated guests of its own, which carry its network and its disk too; no memory moves, and its workloads have no file system below them.`;
  if (apart.length === systems.length)
    return [`${inside} Compare them with each other, and with nothing that ran outside such guests.`];
  const memory = systems.includes(MEMORY_ALONE)
    ? `${MEMORY_ALONE} shows how many bytes that is`
    : 'this experiment does not tell how many bytes that is';
  return [
    `${inside} No diskswarm runs inside such guests, so DRBD has no opponent here under equal conditions: its times, silences and disruption are to be laid beside each other alone, and are never marked as best. Beside the other systems two figures count: bytes on the line, to which the others add the memory (${memory}), and the work done, which is relative to what the same guest did before.`,
  ];
}

/** Who brings less than others; nothing where all bring the same. */
function partialNotes({ systems }: Experiment): string[] {
  const partial = systems.filter(isPartial);
  if (partial.length === 0 || partial.length === systems.length) return [];
  return [
    `${partial.join(' and ')}: what no guest touches never comes. Time in total and bytes are not to be laid beside those of systems that bring the whole disk, and none of them is marked as best where both are; the time to login is.`,
  ];
}

const LINE =
  'Modelled: the line (a FIFO each way with serialisation time, delay, seeded loss and tail drop between two network namespaces; its queue takes what the way there carries in 200 ms, but 64 KiB at least and 4 MiB at most).';
const MACHINE_NOTES: readonly string[] = [
  `${LINE} Real: everything above it, TCP, the programs, the guests.`,
  'Both hosts, the guests and the clients share one machine; guests run without hardware acceleration. Absolute figures depend on it, comparisons within a place count.',
  'Where and when a guest works follows from the seed; the bytes that it writes are random, so that nobody finds them elsewhere or compresses them.',
];
const ROAM_NOTES: readonly string[] = [
  `${LINE} Modelled too: what is written between two moves, and systems with "modelled" in their names, whose bytes are counted from it. Real: everything else, TCP, the programs, the disks.`,
  'Both hosts share one machine. Absolute times depend on it, bytes do not.',
  'What is written is random: no compressor and no search for the same bytes elsewhere gains on it.',
  'After every move that was really made the whole disk at the host that was reached was compared with what it had to be; a run in which it was not the same failed.',
];
const CROWD_NOTES: readonly string[] = [
  'Rows whose workload begins with "modelled" come from a model in virtual time. In it every host runs the scheduler as it ships and, for clones, the choice of sources as it ships; its guest replays a boot that was recorded here from a disk that answers at once. Lines are first in, first out with headers counted; the upload pace is taken as always on its target; verifying, storing, manifest pages, compression and losses are left out. An NBD client reads each chunk once, when its guest touches it.',
  'Of up to 64 modelled hosts all know each other; of more, each knows 64, chosen at random, and the seed is among those of 64 hosts alone, because an agent keeps 64 sessions. With more than 100 hosts what peers tell is taken up together every 200 ms. Where a row says so, neighbouring chunks of a whole disk were modelled as one, beside those that a guest waits for.',
  'Modelled rows "on … cores" have guests that share the cores of this machine, to be laid beside the runs; in the others each guest has a core of its own.',
];
const NOTES: readonly string[] = [
  'Systems take turns within each place and round, another one begins each time, and the seed decides the order.',
  'A figure is the median of its rounds, with the lowest and the highest in brackets, and n where some rounds lack it. Failed runs count as runs and have no figures; a run that did not end within the limit has those up to it.',
];
