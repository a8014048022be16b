/**
 * Puts the page together: what the agent tells goes to the parts, each of which draws itself anew when its own part changed.
 */
import { drawCharts } from './charts.js';
import { follow, NoSession, openSession } from './connection.js';
import { drawDisks, drawSafety } from './disks.js';
import { forgetShown, show } from './elements.js';
import { disksApart, drawFleets, fleetsOf } from './fleets.js';
import { drawMachines } from './machines.js';
import { preparePairing, showDisksToInvite } from './pairing.js';
import { drawSwarmPicture, drawSwarmTable } from './swarm.js';
import { shortId } from './words.js';

/** As many as the agent keeps. */
const SAMPLES = 300;

const page = { hello: null, state: null, samples: [] };
const part = (id) => document.getElementById(id);

function draw() {
  const { state, samples } = page;
  if (state === null) return;
  const { hostId, listen, trackers, disks, machines } = state;
  part('main').hidden = false;
  show('host', [hostId, listen, trackers], () => hostText(hostId, listen, trackers));
  show(
    'safety-view',
    disks.map(({ name, safeToSwitchOff, safeReasons }) => ({ name, safeToSwitchOff, safeReasons })),
    drawSafety,
  );
  show('disks-view', { disks: disksApart(disks), hostId, none: disks.length === 0 }, drawDisks);
  const width = Math.max(280, part('swarm-picture').clientWidth);
  show('swarm-picture', { disks: ofSwarm(disks), hostId, width }, drawSwarmPicture);
  show('swarm-view', ofSwarm(disks), drawSwarmTable);
  show('charts-view', { samples, width: part('charts-view').clientWidth }, drawCharts);
  show('machines-view', machines, drawMachines);
  const fleets = fleetsOf(disks);
  part('fleets').hidden = fleets.length === 0;
  show('fleets-view', fleets, drawFleets);
  showDisksToInvite(disks, hostId, state.signer);
}

/** What the picture and the table are made of: faults change far more often. */
function ofSwarm(disks) {
  return disks.map(({ name, peers, bytesBySource, piecesTotal, piecesZero, chunkSizeBytes }) => {
    return { name, peers, bytesBySource, piecesTotal, piecesZero, chunkSizeBytes };
  });
}

function hostText(hostId, listen, trackers) {
  const failing = trackers.filter(({ ok }) => !ok);
  const parts = [`host ${shortId(hostId)}`, `listening on ${listen}`];
  if (trackers.length > 0 && failing.length === 0) parts.push('trackers answer');
  if (failing.length > 0) parts.push(`no answer from ${failing.map(({ url }) => url).join(', ')}`);
  return parts.join(' · ');
}

function onEvent(name, data) {
  if (name === 'hello') {
    if (page.hello === null) preparePairing(data);
    page.hello = data;
    page.samples = data.samples;
    return;
  }
  const { sample, ...state } = data;
  page.state = state;
  if (sample !== null && sample.atMs !== page.samples.at(-1)?.atMs)
    page.samples = [...page.samples, sample].slice(-SAMPLES);
  draw();
}

function onConnection(text) {
  const pill = part('connection');
  if (pill.textContent !== text) pill.textContent = text;
  pill.classList.toggle('good', text === 'live');
  pill.classList.toggle('bad', text !== 'live');
}

let resizing = 0;
addEventListener('resize', () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => {
    forgetShown();
    draw();
  });
});

try {
  await openSession();
  await follow(onEvent, onConnection);
} catch (error) {
  onConnection('not connected');
  part('main').hidden = true;
  const notice = part('notice');
  notice.hidden = false;
  const what = error instanceof NoSession ? error.message : `This page could not reach its agent: ${error.message}.`;
  notice.replaceChildren(
    `${what} Run `,
    Object.assign(document.createElement('code'), { textContent: 'diskswarm dashboard' }),
    ' on the host for a new link.',
  );
}
