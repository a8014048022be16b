/** Cases that found a defect once, by name, and what it was. CI runs them always. */
export interface RegressionCase {
  readonly name: string;
  readonly found: string;
}

export const REGRESSION_CASES: readonly RegressionCase[] = [
  {
    name: 'hybrid, 1 disks, seed 1: destination agent 0 ms after 1. home hears confirmed',
    found:
      'a restarted destination accepted the disk of a machine that it then put away; and after a refusal the next move waited for an epoch that never came',
  },
  {
    name: 'hybrid, 1 disks, seed 1: both agents 0 ms after 1. office hears prepare',
    found: 'a round that a newer generation took the place of failed the move',
  },
  {
    name: 'hybrid, 1 disks, seed 1: cancel 0 ms after 1. home qemu says MIGRATION device',
    found: 'QEMU ran its guest again while the exports still refused writes, and the guest saw an I/O error',
  },
  {
    name: 'hybrid, 1 disks, seed 1: destination stops 0 ms after 1. office qemu says RESUME',
    found:
      'a destination that was told to end took its own shutdown for a failure, and ended the machine it had accepted',
  },
  {
    name: 'hybrid, 1 disks, seed 1: cut 0 ms after 1. home hears confirmed; destination agent 40 ms after 1. home hears confirmed',
    found:
      'a destination that put a machine away and then died forgot that the offers of its disks were still to be refused',
  },
  {
    name: 'precopy, 1 disks, seed 1: straight way 0 ms after 1. home hears prepared',
    found:
      'a straight way that was found while the rounds were under way took the place of the relayed one, and the move ended',
  },
  {
    name: 'hybrid, 1 disks, seed 1: cancel 0 ms after 1. home hears memoryReady',
    found: 'a move that was cancelled while its memory began went on listening for it',
  },
  {
    name: 'hybrid, 2 disks, seed 1: source stops 6 ms after 2. home hears progress; source qemu 4 ms after 2. home hears progress',
    found:
      'an agent that ended just after its QEMU recorded the machine as stopped with a disk still attached, and the machine did not start again',
  },
];
