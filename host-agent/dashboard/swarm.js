/**
 * The hosts around this one: a picture of who sends to whom right now, and a table that says the same in words.
 *
 * A line's width is its rate; a ring around a host is how much of the shared disks it has. Faults are orange everywhere, so here in and
 * out have the colours of the traffic chart.
 */
import { h, svg } from './elements.js';
import { percentText, rateText, shortId, sizeText } from './words.js';

/** Hosts in the picture; the table has all. */
const MAX_DRAWN = 16;

/** Every host once, over all disks, the busiest first. */
function hostsOf(disks) {
  const hosts = new Map();
  const hostOf = (id) => {
    const known = hosts.get(id) ?? { id, address: null, inRate: 0, outRate: 0, has: 0, of: 0, from: 0, disks: [] };
    hosts.set(id, known);
    return known;
  };
  for (const disk of disks) {
    for (const peer of disk.peers) {
      const host = hostOf(peer.hostId);
      host.address = peer.address;
      host.inRate += peer.rates.receiveBytesPerSecond;
      host.outRate += peer.rates.sendBytesPerSecond;
      host.has += peer.piecesClaimed;
      host.of += disk.piecesTotal - disk.piecesZero;
      host.disks.push(disk.name);
    }
    for (const [id, bytes] of Object.entries(disk.bytesBySource)) hostOf(id).from += bytes;
  }
  const weight = ({ inRate, outRate }) => inRate + outRate;
  return [...hosts.values()].sort((left, right) => weight(right) - weight(left) || (left.id < right.id ? -1 : 1));
}

function share({ has, of }) {
  return of === 0 ? 0 : Math.min(1, has / of);
}

/** What a connection goes over, in a word. */
function way(address) {
  if (address === null) return 'not connected';
  if (/\.relay:\d+$/.test(address)) return 'through another host';
  if (/\.dht:\d+$/.test(address)) return 'through NATs';
  return address;
}

export function drawSwarmPicture({ disks, width }) {
  const hosts = hostsOf(disks).filter(({ address }) => address !== null);
  if (hosts.length === 0) return h('p', { class: 'empty' }, 'No other host is connected.');
  const drawn = hosts.slice(0, MAX_DRAWN).sort((left, right) => (left.id < right.id ? -1 : 1));
  const narrow = width < 560;
  const height = narrow ? 90 + Math.ceil(drawn.length / 2) * 110 : Math.min(480, 300 + drawn.length * 20);
  const middle = { x: width / 2, y: narrow ? 44 : height / 2 };
  const picture = svg('svg', {
    viewBox: `0 0 ${width} ${height}`,
    class: 'swarm',
    role: 'img',
    'aria-label': `This host and ${hosts.length} others; the table below has their rates`,
  });
  picture.append(arrowHead('in'), arrowHead('out'));
  const placed = drawn.map((host, index) => ({
    host,
    at: placeOf(index, drawn.length, { width, height, middle, narrow }),
  }));
  for (const { host, at } of placed) picture.append(...lines(host, at, middle));
  picture.append(node(middle, 28, null, 'self'), ...selfLabel(middle));
  for (const { host, at } of placed) {
    // On the side that no line comes from.
    const [name, flow] = at.y < middle.y - 40 ? [-42, -27] : [39, 55];
    picture.append(node(at, 20, share(host), 'peer'), label(at, name, shortId(host.id), 'name'));
    picture.append(label(at, flow, flowText(host), 'flow'));
  }
  const more = hosts.length - drawn.length;
  return more > 0 ? [picture, h('p', { class: 'quiet' }, `and ${more} more, in the table`)] : picture;
}

/** Around this host on an ellipse; on a narrow page in two columns below it. */
function placeOf(index, count, { width, height, middle, narrow }) {
  if (narrow) {
    const alone = index === count - 1 && count % 2 === 1;
    const x = alone ? width / 2 : index % 2 === 0 ? width * 0.24 : width * 0.76;
    return { x, y: 130 + Math.floor(index / 2) * 110 };
  }
  const angle = -Math.PI / 2 + ((index + (count === 2 ? 0.5 : 0)) * 2 * Math.PI) / count;
  const wide = count === 1 ? { x: width / 4, y: 0 } : null;
  if (wide !== null) return { x: middle.x + wide.x, y: middle.y };
  return {
    x: middle.x + Math.cos(angle) * Math.min(width / 2 - 80, 330),
    y: middle.y + Math.sin(angle) * (height / 2 - 66),
  };
}

function arrowHead(kind) {
  return svg(
    'marker',
    {
      id: `arrow-${kind}`,
      viewBox: '0 0 8 8',
      refX: 6,
      refY: 4,
      markerWidth: 13,
      markerHeight: 13,
      markerUnits: 'userSpaceOnUse',
      orient: 'auto-start-reverse',
    },
    svg('path', { d: 'M0 0 8 4 0 8z', class: `fill ${kind}` }),
  );
}

/** One line for each direction that carries something; else one that says that they are connected. */
function lines({ inRate, outRate }, from, to) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const unit = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
  const line = (side, startGap, endGap, attributes) =>
    svg('line', {
      x1: from.x + unit.x * startGap - unit.y * side,
      y1: from.y + unit.y * startGap + unit.x * side,
      x2: to.x - unit.x * endGap - unit.y * side,
      y2: to.y - unit.y * endGap + unit.x * side,
      ...attributes,
    });
  if (inRate === 0 && outRate === 0) return [line(0, 23, 31, { class: 'idle' })];
  const both = inRate > 0 && outRate > 0 ? 6 : 0;
  const drawn = [];
  if (inRate > 0)
    drawn.push(
      line(both, 25, 33, { class: 'stroke in', 'stroke-width': thickness(inRate), 'marker-end': 'url(#arrow-in)' }),
    );
  if (outRate > 0)
    drawn.push(
      line(-both, 27, 30, {
        class: 'stroke out',
        'stroke-width': thickness(outRate),
        'marker-start': 'url(#arrow-out)',
      }),
    );
  return drawn;
}

/** From a hair at 1 KiB/s to a band at 1 GiB/s. */
function thickness(bytesPerSecond) {
  return 1.5 + 0.5 * Math.max(0, Math.log2(bytesPerSecond / 1024)) ** 0.9;
}

function node({ x, y }, radius, has, kind) {
  const group = svg('g', { class: kind }, svg('circle', { cx: x, cy: y, r: radius, class: 'disc' }));
  if (has !== null) {
    const around = 2 * Math.PI * radius;
    const ring = { cx: x, cy: y, r: radius, class: 'ring', 'stroke-dasharray': `${around * has} ${around}` };
    group.append(svg('circle', { ...ring, transform: `rotate(-90 ${x} ${y})` }));
    group.append(svg('text', { x, y: y + 4, 'text-anchor': 'middle', class: 'share' }, `${Math.round(has * 100)}%`));
  }
  return group;
}

function selfLabel({ x, y }) {
  return [label({ x, y: y - 7 }, 0, 'this', 'self-label'), label({ x, y: y + 6 }, 0, 'host', 'self-label')];
}

function label({ x, y }, below, text, kind) {
  return svg('text', { x, y: y + below + (below === 0 ? 4 : 0), 'text-anchor': 'middle', class: kind }, text);
}

function flowText({ inRate, outRate }) {
  if (inRate === 0 && outRate === 0) return 'idle';
  return [inRate > 0 ? `↓ ${rateText(inRate)}` : null, outRate > 0 ? `↑ ${rateText(outRate)}` : null]
    .filter((text) => text !== null)
    .join('  ');
}

export function drawSwarmTable(disks) {
  const hosts = hostsOf(disks);
  if (hosts.length === 0) return [];
  const rows = hosts.map((host) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, h('code', {}, shortId(host.id))),
      cell('over', way(host.address)),
      cell('disks', host.disks.join(', ') || '–'),
      cell('has', host.address === null ? '–' : percentText(share(host))),
      cell('sends here', rateText(host.inRate)),
      cell('gets from here', rateText(host.outRate)),
      cell('gave so far', sizeText(host.from)),
    ),
  );
  const heads = ['host', 'over', 'disks', 'has', 'sends here', 'gets from here', 'gave so far'];
  return h(
    'table',
    {},
    h('caption', { class: 'hidden' }, 'Other hosts: what they have, and what goes to and fro'),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        heads.map((head) => h('th', { scope: 'col' }, head)),
      ),
    ),
    h('tbody', {}, rows),
  );
}

/** On a narrow page the head of its column stands beside it. */
function cell(head, text) {
  return h('td', { 'data-head': head }, text);
}
