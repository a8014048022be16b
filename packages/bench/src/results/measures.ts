/** The figures of a report: their names, units, and which way is better. */
import type { FigureName } from '../run/result.ts';

/** The name of a figure: one of a run, one that needs others to compare with, one of a model, or one of a comparison. */
export type MeasureName = FigureName | 'additional' | 'loginTail' | 'copies' | 'unfinished';

export interface Measure {
  readonly name: MeasureName;
  readonly title: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  /** What it is, for readers of a report. */
  readonly about: string;
}

export const MEASURES: readonly Measure[] = [
  {
    ...{ name: 'login', title: 'time to login', unit: 's', better: 'lower' },
    about: 'from the asking for the disk until the guest is up, the median of all hosts that boot',
  },
  {
    ...{ name: 'loginTail', title: 'time to login, 99th percentile', unit: 's', better: 'lower' },
    about: 'of all hosts that boot, where there are enough of them: in modelled rows',
  },
  {
    ...{ name: 'lastLogin', title: 'last login', unit: 's', better: 'lower' },
    about: 'the same of the slowest host, where there are several',
  },
  {
    ...{ name: 'whole', title: 'time until the disk is there', unit: 's', better: 'lower' },
    about:
      'from the asking for the disk until all of it is at the host, the median of all hosts; where a system brings all of it',
  },
  {
    ...{ name: 'total', title: 'time in total', unit: 's', better: 'lower' },
    about:
      'of a move, of all boots or of all moves of some days: from the command until the system counts as done (see its line in the list of systems)',
  },
  {
    ...{ name: 'downtime', title: 'downtime', unit: 'ms', better: 'lower' },
    about:
      'from the STOP of the guest at the source until it was told to go on at the destination, by the events of its QEMUs; of diskswarm as its agents tell it. The longest silence is the same pause, seen from the outside',
  },
  {
    ...{ name: 'gap', title: 'longest silence', unit: 'ms', better: 'lower' },
    about: "longest pause between two ticks of the guest's ticker, which sleeps 10 ms between them",
  },
  {
    ...{ name: 'disruption', title: 'disruption', unit: 'ms', better: 'lower' },
    about:
      'time in which a user waited for longer than three times the 99th percentile of the waits before the move, and 100 ms more; waits that overlap count once',
  },
  {
    ...{ name: 'additional', title: 'additional disruption', unit: 'ms', better: 'lower' },
    about: 'disruption beyond that of moving the memory alone, in the same place and round; not below 0',
  },
  {
    ...{ name: 'bytes', title: 'bytes on the line', unit: 'MB', better: 'lower' },
    about: 'both directions, from the command to the end, with all headers; a client of the guest counts in',
  },
  {
    ...{ name: 'copies', title: 'copies sent by the seed', unit: '×', better: 'lower' },
    about:
      'chunk bytes that the seed sent, over what one host needs: the disk, or what a boot touches; in modelled rows',
  },
  {
    ...{ name: 'work', title: 'work done', unit: '%', better: 'higher' },
    about: "the workload's steps per second from the command to the end, in percent of those before the command",
  },
  {
    ...{ name: 'played', title: 'time of the replay', unit: 's', better: 'lower' },
    about: 'from the asking for the disk until the last request of the trace was answered, the median of all hosts',
  },
  {
    ...{ name: 'stalls', title: 'number of stalls', unit: '', better: 'lower' },
    about: 'requests of a replayed trace that took longer than 100 ms',
  },
  {
    ...{ name: 'stalled', title: 'stalls', unit: 'ms', better: 'lower' },
    about:
      'in total: how long a stream stood still after the command, or requests of a replay that took above 100 ms were waited for',
  },
  {
    ...{ name: 'deltas', title: 'deltas', unit: '', better: 'lower' },
    about: 'changed pieces that were sent again after the first round, where a system tells',
  },
  {
    ...{ name: 'requestTail', title: 'latency of a request, 99th percentile', unit: 'ms', better: 'lower' },
    about: 'of all requests of a replayed trace, whoever answered them',
  },
  {
    ...{ name: 'connectedWork', title: 'work done while connected', unit: '%', better: 'higher' },
    about:
      'of DRBD, once both disks are the same and every write goes to both: steps per second, of those before the sync',
  },
  {
    ...{ name: 'resync', title: 'resync', unit: 's', better: 'lower' },
    about: 'of DRBD, from connecting again after five seconds apart until both disks are the same',
  },
  {
    ...{ name: 'resyncBytes', title: 'bytes of the resync', unit: 'MB', better: 'lower' },
    about: 'both directions, with all headers, the writes of the guest meanwhile among them',
  },
  {
    ...{ name: 'detach', title: 'hand-over and detach', unit: 'ms', better: 'lower' },
    about: 'of DRBD, from the end of the work at the first host until the second has the disk and is alone with it',
  },
  {
    ...{ name: 'faults', title: 'faults', unit: '', better: 'lower' },
    about: 'reads of a host that had to wait for a chunk which was not there, where a system tells',
  },
  {
    ...{ name: 'missRate', title: 'miss rate', unit: '%', better: 'lower' },
    about:
      'reads that had to wait for a chunk, in percent of the chunks that a host used; more than 100 where several waited for one chunk, where a system tells',
  },
  {
    ...{ name: 'farShare', title: 'chunks from beyond the line', unit: '%', better: 'lower' },
    about:
      'of the bytes of chunks that came to all hosts, those that the host at the far end sent; the others came from hosts nearby; where a system tells',
  },
  {
    ...{ name: 'overContent', title: 'bytes over content', unit: '×', better: 'lower' },
    about:
      'bytes on the line over the 4 KiB blocks of the disk that are not zero, where a system brings the whole disk; hosts together',
  },
  {
    ...{ name: 'manifest', title: 'size of the manifest', unit: 'KiB', better: 'lower' },
    about: 'pages that name the chunks of the disk, where a system has them',
  },
  {
    ...{ name: 'memory', title: 'memory of an agent', unit: 'MiB', better: 'lower' },
    about: 'the most that was resident, of the agent that needed most; where a system tells',
  },
  {
    ...{ name: 'weekBytes', title: 'bytes of all moves', unit: 'MB', better: 'lower' },
    about:
      'of a machine that goes back and forth: both directions, with all headers; what was counted and not sent has none',
  },
  {
    ...{ name: 'moveBytes', title: 'bytes of a move', unit: 'MB', better: 'lower' },
    about: 'the median of its moves',
  },
  {
    ...{ name: 'mostBytes', title: 'bytes of the largest move', unit: 'MB', better: 'lower' },
    about: 'of all its moves',
  },
  {
    ...{ name: 'overDiffering', title: 'bytes over what differs', unit: '×', better: 'lower' },
    about: 'bytes of all moves over the 4 KiB blocks that held something else than when the host was left',
  },
  {
    ...{ name: 'ready', title: 'time until it can be used', unit: 's', better: 'lower' },
    about: 'from the command until the disk can be used at the host that is reached, the median of its moves',
  },
  {
    ...{ name: 'moveTime', title: 'time of a move', unit: 's', better: 'lower' },
    about: 'from the command until all of the disk is there, the median of its moves',
  },
  {
    ...{ name: 'firstBytes', title: 'bytes of the first copy', unit: 'MB', better: 'lower' },
    about: 'to a host that never had the disk, before the days begin; where it was really moved',
  },
  ...(
    [
      ['faultMedian', 'latency of a fault, median', 'all of it, until the guest has its answer'],
      ['faultTail', 'latency of a fault, 99th percentile', 'all of it, until the guest has its answer'],
      ['faultQueue', 'of a fault: waiting to be asked', 'median of this part'],
      ['faultNetwork', 'of a fault: the network and the other host', 'median of this part'],
      ['faultVerify', 'of a fault: verifying', 'median of this part'],
      ['faultStore', 'of a fault: storing', 'median of this part'],
    ] as const
  ).map(([name, title, about]) => faultMeasure(name, title, about)),
];

function faultMeasure(name: MeasureName, title: string, about: string): Measure {
  return { name, title, unit: 'ms', better: 'lower', about: `${about}; the median of all hosts, where a system tells` };
}
