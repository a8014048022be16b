/**
 * The templates of a disk: generations that the owner published, so that others make clones of them (docs/adr/0011).
 *
 * One record, signed by the owner, replaced as a whole and ordered by its sequence number like the roster, never by a clock. A
 * published generation is pinned until it is retired. A retired one makes no new clones, but goes on being served to those there
 * are. Persisting the highest list seen, and acting on it, is left to the host agent.
 */
import {
  blake3,
  type DiskId,
  DiskswarmError,
  type GenerationId,
  idFromBytes,
  idToBytes,
  RecordReader,
} from '@diskswarm/core';
import type { Generation } from './generation.ts';
import type { Genesis } from './genesis.ts';
import { MAX_SEQUENCE, MAX_TEMPLATES, MAX_TEMPLATES_BYTES } from './limits.ts';
import type { Owner } from './owner.ts';
import { openRecord, sealRecord } from './signed-record.ts';

/** A published generation. */
export interface Template {
  readonly generation: GenerationId;
  /** The generation's own number: what people name it by. */
  readonly sequence: number;
  /** Served to every host that has the link, not only to those of the roster. */
  readonly isPublic: boolean;
  /** Makes no new clones; nothing pins it any more. */
  readonly retired: boolean;
}

/** A verified list. */
export interface TemplateList {
  readonly disk: DiskId;
  /** From 1; every change adds one. */
  readonly sequence: number;
  /** In the order they were published. */
  readonly templates: readonly Template[];
  /** Canonical bytes with the signature: what hosts keep and send. */
  readonly bytes: Uint8Array;
}

/** The list with `generation` published, again if it was retired. LIMIT_EXCEEDED when the disk has 64 that are not retired. */
export function publishTemplate(
  change: { genesis: Genesis; list: TemplateList | null; generation: Generation; isPublic: boolean },
  owner: Owner,
): TemplateList {
  const { genesis, list, generation, isPublic } = change;
  const known = list?.templates.find((template) => template.generation === generation.id);
  const others = (list?.templates ?? []).filter((template) => template !== known);
  if (others.length >= MAX_TEMPLATES) {
    const over = others.findIndex(({ retired }) => retired);
    if (over < 0)
      throw new DiskswarmError('LIMIT_EXCEEDED', `a disk has at most ${MAX_TEMPLATES} templates: retire one first`, {
        data: { limit: MAX_TEMPLATES },
      });
    others.splice(over, 1);
  }
  // What was public stays so: whoever has the link has the content.
  const template = {
    generation: generation.id,
    sequence: generation.sequence,
    isPublic: isPublic || known?.isPublic === true,
    retired: false,
  };
  return createTemplateList(genesis, (list?.sequence ?? 0) + 1, [...others, template], owner);
}

/** The list with a template retired; TEMPLATE_NOT_FOUND when it is not there, or retired already. */
export function retireTemplate(
  change: { genesis: Genesis; list: TemplateList; generation: GenerationId },
  owner: Owner,
): TemplateList {
  const { genesis, list, generation } = change;
  if (!list.templates.some((template) => template.generation === generation && !template.retired))
    throw new DiskswarmError('TEMPLATE_NOT_FOUND', 'this generation is no template, or was retired already', {
      data: { disk: genesis.disk, generation },
    });
  const templates = list.templates.map((template) =>
    template.generation === generation ? { ...template, retired: true } : template,
  );
  return createTemplateList(genesis, list.sequence + 1, templates, owner);
}

function createTemplateList(
  genesis: Genesis,
  sequence: number,
  templates: readonly Template[],
  owner: Owner,
): TemplateList {
  const body = {
    kind: 'templates',
    disk: idToBytes(genesis.disk),
    sequence,
    templates: templates.map((template) => ({
      generation: idToBytes(template.generation),
      sequence: template.sequence,
      public: template.isPublic ? 1 : 0,
      retired: template.retired ? 1 : 0,
    })),
  };
  return verifyTemplateList(sealRecord('templates', body, owner.signingSeed).bytes, genesis);
}

/** Parses and checks a list of this disk; FORMAT_INVALID or SIGNATURE_INVALID. */
export function verifyTemplateList(bytes: Uint8Array, genesis: Genesis): TemplateList {
  const record = openRecord(bytes, {
    domain: 'templates',
    what: 'list of templates',
    maxBytes: MAX_TEMPLATES_BYTES,
    known: ['kind', 'disk', 'sequence', 'templates'],
  });
  const { reader } = record;
  if (reader.text('kind', 16) !== 'templates') refuse('of another kind');
  if (idFromBytes<DiskId>(reader.bytes('disk', { length: 32 })) !== genesis.disk) refuse('of another disk');
  record.verify(genesis.owner);
  const templates = reader.list('templates', MAX_TEMPLATES).map((item): Template => {
    const entry = new RecordReader(item, 'template', ['generation', 'sequence', 'public', 'retired']);
    return {
      generation: idFromBytes<GenerationId>(entry.bytes('generation', { length: 32 })),
      sequence: entry.integer('sequence', 1, MAX_SEQUENCE),
      isPublic: entry.integer('public', 0, 1) === 1,
      retired: entry.integer('retired', 0, 1) === 1,
    };
  });
  if (new Set(templates.map(({ generation }) => generation)).size < templates.length) refuse('one listed twice');
  return { disk: genesis.disk, sequence: reader.integer('sequence', 1, MAX_SEQUENCE), templates, bytes: record.bytes };
}

/**
 * True when `offered` takes the place of `current`. Two lists of one sequence number (the owner signed on two hosts that did not
 * know of each other) have an order too, the same everywhere.
 */
export function isNewerTemplateList(current: TemplateList | null, offered: TemplateList): boolean {
  if (current === null) return true;
  const order = offered.sequence - current.sequence || Buffer.compare(blake3(offered.bytes), blake3(current.bytes));
  return order > 0;
}

function refuse(why: string): never {
  throw new DiskswarmError('FORMAT_INVALID', `list of templates: ${why}`, { data: { what: 'templates' } });
}
