/** The last minutes as bars and lines: reads that had to wait, and what moved. */
import { h, svg } from './elements.js';
import { countText, latencyText, rateText } from './words.js';

const HEIGHT = 170;
const LEFT = 88;
const BOTTOM = 22;
const TOP = 10;
const SLOTS = 300;

const SERIES = [
  { key: 'faultBytesPerSecond', name: 'waited for', kind: 'fault' },
  { key: 'backgroundBytesPerSecond', name: 'fetched ahead', kind: 'background' },
  { key: 'servedBytesPerSecond', name: 'given to others', kind: 'served' },
];

export function drawCharts({ samples, width }) {
  const each = width > 860 ? Math.floor((width - 32) / 2) : width;
  return [faultChart(samples, Math.max(280, each)), trafficChart(samples, Math.max(280, each))];
}

function faultChart(samples, width) {
  const total = samples.reduce((sum, { faults }) => sum + faults, 0);
  const longest = samples.reduce((most, { waitMs }) => Math.max(most, waitMs), 0);
  const text =
    total === 0
      ? 'No read had to wait.'
      : `${countText(total, 'read')} waited; in the slowest second ${latencyText(longest * 1000)} on average.`;
  const most = niceCeiling(Math.max(4, ...samples.map(({ faults }) => faults)));
  const { frame, x, y } = axes(
    width,
    most,
    (value) => value.toLocaleString('en'),
    `Reads that waited for another host: ${text}`,
  );
  const step = (width - LEFT) / SLOTS;
  for (const [index, { faults }] of recent(samples)) {
    if (faults === 0) continue;
    frame.append(
      svg('rect', {
        x: x(index),
        y: y(faults),
        width: Math.max(1.5, step - 0.5),
        height: y(0) - y(faults),
        class: 'fill fault',
      }),
    );
  }
  return h(
    'figure',
    {},
    h('figcaption', {}, h('b', {}, 'Reads that waited, each second'), h('span', { class: 'quiet' }, text)),
    frame,
  );
}

function trafficChart(samples, width) {
  const most = niceCeiling(Math.max(1024, ...samples.flatMap((sample) => SERIES.map(({ key }) => sample[key]))), 1024);
  const last = samples.at(-1);
  const now = SERIES.map(({ key, name }) => `${rateText(last?.[key] ?? 0)} ${name}`).join(', ');
  const { frame, x, y } = axes(width, most, rateText, `Traffic with other hosts; now ${now}`);
  for (const { key, kind } of SERIES) {
    const points = recent(samples).map(([index, sample]) => `${x(index).toFixed(1)},${y(sample[key]).toFixed(1)}`);
    if (points.length > 1) frame.append(svg('polyline', { points: points.join(' '), class: `line ${kind}` }));
  }
  const legend = SERIES.map(({ key, name, kind }) =>
    h(
      'span',
      { class: 'key' },
      svg(
        'svg',
        { width: 22, height: 8, 'aria-hidden': 'true' },
        svg('line', { x1: 0, y1: 4, x2: 22, y2: 4, class: `line ${kind}` }),
      ),
      `${name}: ${rateText(last?.[key] ?? 0)}`,
    ),
  );
  return h(
    'figure',
    {},
    h('figcaption', {}, h('b', {}, 'Traffic'), h('span', { class: 'legend quiet' }, legend)),
    frame,
  );
}

/** Samples with their slot, the newest at the right. */
function recent(samples) {
  return samples.slice(-SLOTS).map((sample, index, all) => [SLOTS - all.length + index, sample]);
}

function axes(width, most, label, description) {
  const x = (index) => LEFT + (index * (width - LEFT)) / SLOTS;
  const y = (value) => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
  const frame = svg('svg', {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    class: 'chart',
    role: 'img',
    'aria-label': description,
  });
  for (const value of [0, most / 2, most]) {
    frame.append(
      svg('line', { x1: LEFT, x2: width, y1: y(value), y2: y(value), class: 'grid' }),
      svg('text', { x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end', class: 'tick' }, label(value)),
    );
  }
  frame.append(
    svg('text', { x: LEFT, y: HEIGHT - 5, class: 'tick' }, '5 min ago'),
    svg('text', { x: width, y: HEIGHT - 5, 'text-anchor': 'end', class: 'tick' }, 'now'),
  );
  return { frame, x, y };
}

/** The next 1, 2 or 4 times a power of two (for bytes, of 1024 and two) or ten. */
function niceCeiling(value, base = 10) {
  let unit = 1;
  while (unit * base <= value) unit *= base;
  const steps = base === 10 ? [1, 2, 4, 6, 8, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return unit * steps.find((step) => unit * step >= value);
}
