/** What the control socket is asked about templates and clones, carried out. Lists are signed by the CLI, who has the owner's key. */
import { DiskswarmError, fromHex, toHex } from '@diskswarm/core';
import type { ControlHandlers } from '../control/server.ts';
import type { Agent } from './agent.ts';
import { diskInfo } from './disk-status.ts';

type TemplateMethod = 'disk.templateView' | 'disk.applyTemplates' | 'disk.cloneView' | 'disk.clone';

export function templateHandlers(agent: Agent): Pick<ControlHandlers, TemplateMethod> {
  return {
    'disk.templateView': async ({ name, sequence, complete }) => {
      const disk = agent.disk(name);
      const generation = disk.templates.generationAt(sequence);
      const { list } = disk.templates;
      if (complete) {
        const view = await disk.viewOf(generation.id);
        if (!view.complete)
          throw new DiskswarmError(
            'CHUNK_NOT_FOUND',
            `generation ${generation.sequence} of disk "${name}" is not complete here, so this host could not serve it: publish it where it is, or \`diskswarm disk pull ${name}\` first`,
            { data: { name, sequence: generation.sequence } },
          );
      }
      return { generation: toHex(generation.bytes), templates: list === null ? null : toHex(list.bytes) };
    },
    'disk.applyTemplates': async ({ name, record }) => {
      const disk = agent.disk(name);
      await disk.templates.change(fromHex(record));
      return { sequence: disk.templates.list?.sequence ?? 0 };
    },
    'disk.cloneView': async ({ name, sequence }) => {
      const disk = agent.disk(name);
      const generation = disk.templates.templateAt(sequence);
      return { sequence: generation.sequence, chunkSizeBytes: disk.records.genesis.chunkSizeBytes };
    },
    'disk.clone': async ({ template, sequence, name, fleet = null, records }) => {
      const disk = agent.disk(template);
      const { genesis, rosterBundle, grant } = records;
      const clone = await agent.clone({
        name,
        fleet,
        template: disk,
        generation: disk.templates.templateAt(sequence),
        records: { genesis: fromHex(genesis), roster: fromHex(rosterBundle), epochs: [fromHex(grant)] },
      });
      return diskInfo(clone);
    },
  };
}
