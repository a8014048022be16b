/** A fleet: one agent at the far end publishes a template, each host at the near end boots a clone of it. */
import { join } from 'node:path';
import { AgentHost } from '../hosts/agent-host.ts';
import type { BootBed } from '../hosts/measure-boot.ts';
import { metForTemplate } from '../hosts/met-for-template.ts';
import { compare, throwAway } from './boot-parts.ts';
import type { RunContext } from './system.ts';

/** Everybody knows everybody and the template; nobody has any of it. */
export async function prepareClones({ artefacts, folder, line, run }: RunContext): Promise<BootBed> {
  const { hosts = 1 } = run.workload.settings;
  const known: string[] = [];
  const agent = async (name: string, { prefix, address }: typeof line.near): Promise<AgentHost> => {
    const host = new AgentHost({ stateDir: join(folder, name), prefix, listen: `${address}:0`, peers: [...known] });
    await host.start();
    known.push(host.listen);
    return host;
  };
  const home = await agent('home', line.far);
  await home.import(artefacts.rootImage, 'template');
  await home.publish('template');
  const guests: AgentHost[] = [];
  for (let index = 0; index < hosts; index++) {
    const host = await agent(`host${index}`, line.near);
    await home.invite(host, 'template');
    guests.push(host);
  }
  for (const host of guests) await metForTemplate(host, hosts);
  return {
    async open(index) {
      const host = guests[index]!;
      await host.call('disk.clone', {
        template: 'template',
        sequence: null,
        name: 'clone',
        records: host.newDiskRecords(),
      });
      const uri = await host.attach('clone', { readOnly: true });
      return {
        uri: (await throwAway(folder, `host${index}`, uri)).uri,
        whole: null,
        check: () => compare(artefacts.rootImage, folder, index, uri),
      };
    },
    async facts(index) {
      const { disks } = await guests[index]!.call('status', {});
      const { faults, faultBytes, touchedPieces } = disks.find(({ name }) => name === 'clone')!;
      const { bytesBySource } = disks.find(({ name }) => name === 'template')!;
      const farBytes = bytesBySource[home.hostId] ?? 0;
      return { faults, bytesBySource, farBytes, faultBytes, touchedPieces };
    },
  };
}
