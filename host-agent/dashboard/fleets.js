/**
 * Fleets: what was started as one, and clones of one template where there are many. For each, how many there are, how many are in use,
 * and how far each is.
 *
 * A clone reads through its template, so what it lacks is what it has not touched; one that has everything needs the template no more.
 */
import { h } from './elements.js';
import { countText, percentText } from './words.js';

/** Fewer clones of a template that nobody started as a fleet are disks like any other. */
const FLEET = 4;

/** The largest first. */
export function fleetsOf(disks) {
  const fleets = new Map();
  for (const { name, base, fleet: started, attached, piecesPresent, piecesTotal, piecesZero, faults } of disks) {
    if (!base) continue;
    const template = base.name === null ? 'a template that is not on this host' : templateName(base);
    const key = started ? `fleet ${started}` : base.generationId;
    const fleet = fleets.get(key) ?? { name: started ?? null, template, clones: [] };
    const data = piecesTotal - piecesZero;
    const share = data === 0 ? 1 : piecesPresent / data;
    fleet.clones.push({
      name,
      share,
      independent: base.independent,
      attached: attached !== null,
      used: (attached?.clients ?? 0) > 0,
      waits: faults.count,
      lost: base.waitingPieces,
    });
    fleets.set(key, fleet);
  }
  const many = [...fleets.values()].filter(({ name, clones }) => name !== null || clones.length >= FLEET);
  return many.sort((left, right) => right.clones.length - left.clones.length);
}

/** The disks that are in no fleet. */
export function disksApart(disks) {
  const inFleets = new Set(fleetsOf(disks).flatMap(({ clones }) => clones.map(({ name }) => name)));
  return disks.filter(({ name }) => !inFleets.has(name));
}

function templateName({ name, sequence }) {
  return sequence === null ? name : `${name}@${sequence}`;
}

export function drawFleets(fleets) {
  return h('ul', { class: 'rows' }, fleets.map(drawFleet));
}

function drawFleet({ name, template, clones }) {
  const used = clones.filter((clone) => clone.used).length;
  const independent = clones.filter((clone) => clone.independent).length;
  const facts = [countText(clones.length, 'clone'), `${used} in use`, `${independent} independent`];
  if (name !== null) facts.unshift(`of ${template}`);
  return h(
    'li',
    {},
    h('div', { class: 'row' }, h('h3', {}, name ?? template), h('span', { class: 'quiet' }, facts.join(' · '))),
    h('ul', { class: 'clones' }, clones.map(drawClone)),
  );
}

function drawClone({ name, share, independent, attached, used, waits, lost }) {
  const state = used ? 'in use' : attached ? 'no machine yet' : 'not attached';
  const trouble =
    lost > 0 ? h('div', { class: 'wrong' }, `waits for ${countText(lost, 'chunk')} that no connected host has`) : null;
  return h(
    'li',
    {},
    h('b', {}, name),
    h('progress', { max: 1, value: share.toFixed(3), 'aria-label': `of ${name} here` }),
    h(
      'span',
      { class: 'quiet' },
      `${percentText(share)} here${independent ? ', independent' : ''} · ${state}${waits > 0 ? ` · ${countText(waits, 'read')} waited` : ''}`,
    ),
    trouble,
  );
}
