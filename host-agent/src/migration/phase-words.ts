/** What a migration is doing, in plain words, as seen from the host that the machine leaves. */
import type { HostId } from '@diskswarm/core';
import type { SourceState } from '@diskswarm/migration';

const WORDS: Readonly<Record<SourceState['phase'], string>> = {
  preparing: 'asking the other host',
  bulk: 'sending the disks',
  rounds: 'sending what was written meanwhile',
  memory: 'sending the memory, and what is written meanwhile',
  switchover: 'the guest is paused: the last writes are sealed',
  confirming: 'the guest is paused: the other host takes over',
  relinquishing: 'the guest is paused: the disks are given away',
  post: 'the other host has the machine; the rest of the disks follows',
  ended: 'over',
};

/** The words for a phase, and where it ended for how. */
export function phaseWords(state: Pick<SourceState, 'phase' | 'running' | 'memoryCompleted' | 'outcome'>): string {
  const { phase, running, memoryCompleted, outcome } = state;
  if (outcome?.result === 'lost')
    return `over: its memory was lost on the way, its disks are on the other host: ${outcome.message}`;
  if (outcome !== null)
    return outcome.result === 'done'
      ? 'over: nothing depends on this host any more'
      : `over, and the guest goes on here: ${outcome.message}`;
  if (phase === 'post' && !running) return 'the other host has the machine and starts it';
  if (phase === 'post' && !memoryCompleted) return 'the guest runs there; its memory and the rest of the disks follow';
  return WORDS[phase];
}

/** Why a machine may not run here while nobody knows whose its disks are. */
export function doubtOf(name: string, to: HostId): string {
  return (
    `its disks were offered to host ${to}, whose answer has not come. Neither host may run it until it does: start that host's agent and let the two ` +
    `reach each other, then look at \`diskswarm vm info ${name}\` on both`
  );
}
