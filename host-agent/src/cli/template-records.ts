/**
 * The owner's lists of templates, made from what the agent knows: one with a generation published, one with templates retired.
 *
 * What the agent says is verified here before anything is signed on top of it.
 */
import { DiskswarmError, fromHex, toHex } from '@diskswarm/core';
import {
  decodeGeneration,
  decodeGenesis,
  type Genesis,
  type Owner,
  publishTemplate,
  retireTemplate,
  type TemplateList,
  verifyTemplateList,
} from '@diskswarm/identity';
import { assertOwnerOf } from './owner-records.ts';

/** What the agent says of a disk's templates, in hex. */
interface TemplateView {
  readonly generation: string;
  readonly templates: string | null;
}

/** The list in which the view's generation is a template. OWNER_MISMATCH, LIMIT_EXCEEDED. */
export function publishedList(
  view: TemplateView,
  { genesis: genesisHex, isPublic }: { genesis: string; isPublic: boolean },
  owner: Owner,
): { record: string; template: { generationId: string; sequence: number; public: boolean } } {
  const genesis = decodeGenesis(fromHex(genesisHex));
  assertOwnerOf(genesis, owner);
  const generation = decodeGeneration(fromHex(view.generation));
  if (generation.disk !== genesis.disk)
    throw new DiskswarmError('INTERNAL', 'the agent named a generation of another disk');
  const change = { genesis, list: listOf(view, genesis), generation, isPublic };
  const list = publishTemplate(change, owner);
  const isForAll = list.templates.some((each) => each.generation === generation.id && each.isPublic);
  const template = { generationId: generation.id, sequence: generation.sequence, public: isForAll };
  return { record: toHex(list.bytes), template };
}

/** The list in which one template, or all for null, are retired, signed once `openOwner` gave the key. TEMPLATE_NOT_FOUND, OWNER_MISMATCH. */
export function retiredList(
  view: TemplateView,
  genesisHex: string,
  wanted: { name: string; sequence: number | null },
  openOwner: () => Promise<Owner>,
): { record: Promise<string>; sequences: readonly number[] } {
  const { name, sequence } = wanted;
  const genesis = decodeGenesis(fromHex(genesisHex));
  const list = listOf(view, genesis);
  const retiring = list?.templates.filter((each) => !each.retired && (sequence ?? each.sequence) === each.sequence);
  if (list === null || retiring === undefined || retiring.length === 0) {
    const what = sequence === null ? `${name} has no template` : `${name}@${sequence} is no template`;
    throw new DiskswarmError('TEMPLATE_NOT_FOUND', `${what} that could be retired`, { data: { name, sequence } });
  }
  const sign = async (): Promise<string> => {
    const owner = await openOwner();
    assertOwnerOf(genesis, owner);
    const after = retiring.reduce(
      (before, { generation }) => retireTemplate({ genesis, list: before, generation }, owner),
      list,
    );
    return toHex(after.bytes);
  };
  return { record: sign(), sequences: retiring.map((each) => each.sequence) };
}

function listOf({ templates }: TemplateView, genesis: Genesis): TemplateList | null {
  return templates === null ? null : verifyTemplateList(fromHex(templates), genesis);
}
