/** Hosts of a fleet begin together only once they know each other and what they are to boot. */
import { pause } from '../programs.ts';
import { check } from '../row.ts';
import type { AgentHost } from './agent-host.ts';

const LOOKS = 600;
const BETWEEN_MS = 100;

/** Waits until a host has met so many others, and knows the template that is called so there. */
export async function metForTemplate(host: AgentHost, others: number): Promise<void> {
  for (let looks = 0; looks < LOOKS; looks++) {
    const { peers } = await host.call('peer.ls', {});
    const { templates } = await host.call('disk.info', { name: 'template' });
    if (peers.filter(({ disks }) => disks.length > 0).length >= others && templates.length > 0) return;
    await pause(BETWEEN_MS);
  }
  check(false, 'the hosts did not meet');
}
