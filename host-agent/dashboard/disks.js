/** The disks of this host, and whether it may be switched off. */
import { h } from './elements.js';
import { countText, latencyText, percentText, shortId, sizeText } from './words.js';

/** One answer for the host, and for each disk that stands against it why. */
export function drawSafety(disks) {
  const unsafe = disks.filter(({ safeToSwitchOff }) => !safeToSwitchOff);
  if (unsafe.length === 0) {
    const why =
      disks.length === 0 ? 'It has no disks.' : 'Nothing is here that another host does not have for certain.';
    return h(
      'div',
      { class: 'verdict safe' },
      mark('✓'),
      h('div', {}, h('strong', {}, 'Safe to switch off'), h('p', {}, why)),
    );
  }
  const reasons = unsafe.map(({ name, safeReasons }) =>
    h(
      'li',
      {},
      h('b', {}, name),
      `: ${safeReasons.length === 0 ? 'not known to be elsewhere' : safeReasons.join('; ')}`,
    ),
  );
  return h(
    'div',
    { class: 'verdict unsafe' },
    mark('!'),
    h('div', {}, h('strong', {}, 'Keep this host on'), h('ul', {}, reasons)),
  );
}

function mark(sign) {
  return h('span', { class: 'mark', 'aria-hidden': 'true' }, sign);
}

export function drawDisks({ disks, hostId, none }) {
  if (disks.length === 0 && !none) return h('p', { class: 'empty' }, 'Clones only: they are below, in their fleets.');
  if (disks.length === 0)
    return h(
      'p',
      { class: 'empty' },
      'No disks yet: ',
      h('code', {}, 'diskswarm disk import'),
      ' makes one of an image, ',
      h('code', {}, 'diskswarm disk join'),
      ' takes an invitation.',
    );
  return disks.map((disk) => card(disk, hostId));
}

function card(disk, hostId) {
  const data = disk.piecesTotal - disk.piecesZero;
  const share = data === 0 ? 1 : disk.piecesPresent / data;
  const missingBytes = (data - disk.piecesPresent) * disk.chunkSizeBytes;
  const owner = disk.ownerHostId === hostId ? 'this host' : `host ${shortId(disk.ownerHostId)}`;
  const facts = [
    ['Owner', disk.revoked ? `${owner}; this host was revoked` : owner],
    ['Generation', `${disk.sequence}${disk.forkName === null ? '' : `, fork ${disk.forkName}`}`],
    ['Attached', attachedText(disk.attached)],
    ['Hosts', countText(disk.peers.length, 'connected', 'connected')],
    ['Waits', faultText(disk.faults)],
  ];
  if (disk.base) facts.unshift(['Clone of', disk.base.name ?? 'a template that is not here']);
  if (disk.overlayDirtyBytes > 0) facts.push(['Not sealed', sizeText(disk.overlayDirtyBytes)]);
  return h(
    'article',
    { class: 'card' },
    h('h3', {}, disk.name, h('span', { class: 'quiet' }, ` ${sizeText(disk.sizeBytes)}`)),
    h('div', { class: 'bar', role: 'img', 'aria-label': `${percentText(share)} of its data is here` }, meter(share)),
    h(
      'p',
      { class: 'quiet' },
      share === 1 ? 'all of it is here' : `${percentText(share)} is here, ${sizeText(missingBytes)} missing`,
    ),
    h(
      'dl',
      {},
      facts.flatMap(([term, text]) => [h('dt', {}, term), h('dd', {}, text)]),
    ),
  );
}

/** A filled part; the width is a property of its own, which the page's policy allows and an attribute would not. */
function meter(share) {
  const part = h('div', { class: share === 1 ? 'full' : 'part' });
  part.style.width = `${Math.max(share * 100, share > 0 ? 1 : 0)}%`;
  return part;
}

function attachedText(attached) {
  if (attached === null) return 'no';
  return `${attached.state}, ${attached.clients === 0 ? 'not in use' : countText(attached.clients, 'client')}`;
}

function faultText({ count, latencyUs }) {
  if (count === 0) return 'none';
  return `${countText(count, 'read')}, ${latencyText(latencyUs.p50)} typically, ${latencyText(latencyUs.p99)} at p99`;
}
