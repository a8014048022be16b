/** Lists of templates: what the owner published and retired, which list counts, and what is refused. */
import { encodeCanonical } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import {
  isNewerTemplateList,
  MAX_TEMPLATES,
  MAX_TEMPLATES_BYTES,
  publishTemplate,
  retireTemplate,
  type TemplateList,
  verifyTemplateList,
} from '../src/index.ts';
import { chainOf, codeOf, generationIn, makeDisk, nextGeneration } from './helpers.ts';

const disk = makeDisk();
const { genesis, owner, home, grant } = disk;
const chain = chainOf(disk, grant);
const first = generationIn(disk, chain, home);
const second = nextGeneration(disk, chain, home, first);

function publish(list: TemplateList | null, generation = first, isPublic = false): TemplateList {
  return publishTemplate({ genesis, list, generation, isPublic }, owner);
}

test('what is published and retired survives its bytes, in order', (t) => {
  const both = publish(publish(null), second, true);
  t.deepEqual(verifyTemplateList(both.bytes, genesis), both);
  const after = retireTemplate({ genesis, list: both, generation: first.id }, owner);
  t.deepEqual(
    after.templates.map(({ sequence, isPublic, retired }) => ({ sequence, isPublic, retired })),
    [
      { sequence: 1, isPublic: false, retired: true },
      { sequence: 2, isPublic: true, retired: false },
    ],
  );
  t.true(isNewerTemplateList(both, after));
  t.false(isNewerTemplateList(after, both));
  t.false(isNewerTemplateList(after, after));
});

test('what was retired can be published again, and what was public stays so', (t) => {
  const open = publish(null, first, true);
  const again = publish(retireTemplate({ genesis, list: open, generation: first.id }, owner));
  t.like(again.templates, [{ generation: first.id, isPublic: true, retired: false }]);
  t.is(again.templates.length, 1);
});

test('only a template can be retired, once', (t) => {
  const list = publish(null);
  const retired = retireTemplate({ genesis, list, generation: first.id }, owner);
  for (const [each, generation] of [
    [list, second.id],
    [retired, first.id],
  ] as const)
    t.is(
      codeOf(() => retireTemplate({ genesis, list: each, generation }, owner)),
      'TEMPLATE_NOT_FOUND',
    );
});

test('a full list fits its bound, and only a retired template makes room', (t) => {
  let generation = { ...first, sequence: 2 ** 48 };
  let list: TemplateList | null = null;
  for (let index = 0; index < MAX_TEMPLATES; index++) {
    generation = { ...generation, id: index.toString(16).padStart(64, 'a') as typeof generation.id };
    list = publish(list, generation, true);
  }
  t.true(list!.bytes.length <= MAX_TEMPLATES_BYTES);
  t.is(
    codeOf(() => publish(list, first)),
    'LIMIT_EXCEEDED',
  );
  const victim = list!.templates[7]!.generation;
  const next = publish(retireTemplate({ genesis, list: list!, generation: victim }, owner), first);
  t.is(next.templates.length, MAX_TEMPLATES);
  t.false(next.templates.some((template) => template.generation === victim));
});

test('a list of another owner, of another disk, or altered is refused', (t) => {
  const other = makeDisk('other');
  const list = publish(null);
  t.is(
    codeOf(() =>
      verifyTemplateList(
        publishTemplate({ genesis, list: null, generation: first, isPublic: false }, other.owner).bytes,
        genesis,
      ),
    ),
    'SIGNATURE_INVALID',
  );
  t.is(
    codeOf(() => verifyTemplateList(list.bytes, other.genesis)),
    'FORMAT_INVALID',
  );
  fc.assert(
    fc.property(fc.nat(list.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = list.bytes.slice();
      bytes[at]! ^= change;
      t.regex(
        codeOf(() => verifyTemplateList(bytes, genesis)),
        /FORMAT_INVALID|SIGNATURE_INVALID/,
      );
    }),
  );
  t.is(
    codeOf(() => verifyTemplateList(encodeCanonical({ kind: 'templates' }), genesis)),
    'FORMAT_INVALID',
  );
});

test('every generation of a clone names its base, which is never the disk itself', (t) => {
  const base = { disk: makeDisk('template').genesis.disk, generation: second.id };
  const clone = generationIn(disk, chain, home, { parent: base, base });
  t.deepEqual(clone.base, base);
  const next = generationIn(disk, chain, home, {
    sequence: 2,
    parent: { disk: genesis.disk, generation: clone.id },
    base,
  });
  t.deepEqual(next.base, base);
  t.is(first.base, null);
  t.is(
    codeOf(() => generationIn(disk, chain, home, { base: { ...base, disk: genesis.disk } })),
    'FORMAT_INVALID',
  );
  t.is(
    codeOf(() => generationIn(disk, chain, home, { parent: { ...base, generation: first.id }, base })),
    'FORMAT_INVALID',
  );
});
