/** Virtual machines of this host with their moves. */
import { h } from './elements.js';
import { countText, durationText, rateText, shortId, sizeText } from './words.js';

const STATES = {
  running: 'runs here',
  incoming: 'is on its way here',
  stopped: 'stopped',
  moved: 'moved away',
  inDoubt: 'in doubt',
};

export function drawMachines(machines) {
  if (machines.length === 0)
    return h(
      'p',
      { class: 'empty' },
      'No machines: ',
      h('code', {}, 'diskswarm vm start'),
      ' runs one on a disk of this host.',
    );
  return h('ul', { class: 'rows' }, machines.map(machine));
}

function machine({ name, state, reason, memoryBytes, cpus, disks, move }) {
  const known = disks.filter((disk) => disk !== null).join(', ');
  const facts = [sizeText(memoryBytes), countText(cpus, 'processor'), known].filter((text) => text !== '');
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'row' },
      h('h3', {}, name),
      h(
        'span',
        { class: `pill ${state === 'running' ? 'good' : state === 'inDoubt' ? 'bad' : ''}` },
        STATES[state] ?? state,
      ),
      h('span', { class: 'quiet' }, facts.join(' · ')),
    ),
    reason === '' ? null : h('p', {}, reason),
    move === null ? null : moveText(move),
  );
}

function moveText(move) {
  const running = move.phase !== 'ended';
  const parts = [
    `${sizeText(move.memoryBytes)} of memory and ${sizeText(move.diskBytes)} of disk sent`,
    running && move.missingBytes !== null ? `${sizeText(move.missingBytes)} of disk missing there` : null,
    running ? `${rateText(move.link.memoryBytesPerSecond)} of memory now` : null,
    durationText(move.elapsedMs),
  ].filter((text) => text !== null);
  const children = [
    h('p', {}, h('b', {}, `${running ? 'Moving' : 'Moved'} to host ${shortId(move.to)}: `), move.phaseText),
  ];
  if (running && move.memory !== null && move.memory.totalBytes > 0) {
    const done = 1 - move.memory.remainingBytes / move.memory.totalBytes;
    children.push(h('progress', { max: 1, value: done.toFixed(3), 'aria-label': 'memory copied in this pass' }));
  }
  children.push(h('p', { class: 'quiet' }, parts.join(' · ')));
  return h('div', { class: 'move' }, children);
}
