/**
 * Makes elements. Text always becomes text: nothing of what an agent says is ever read as markup.
 */
const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element; `attributes` that are null or false are left out, functions are listeners. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const shown = new Map();

/** Puts what `make` returns into the element of that id when `value` changed: what stays the same keeps a selection in it. */
export function show(id, value, make) {
  const text = JSON.stringify(value);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  document.getElementById(id).replaceChildren(...[make(value)].flat());
}

/** Forgets what was shown, so that everything is drawn anew: the width changed. */
export function forgetShown() {
  shown.clear();
}

/** A line of text that is to be copied. */
export function copyable(text, label) {
  const box = h('textarea', { class: 'copyable', rows: 4, readonly: true, 'aria-label': label });
  box.value = text;
  const button = h('button', {
    type: 'button',
    class: 'secondary',
    click: async () => {
      box.focus();
      box.select();
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Selected: copy it';
      }
      setTimeout(() => {
        button.textContent = 'Copy';
      }, 3000);
    },
  });
  button.textContent = 'Copy';
  return h('div', { class: 'copy' }, box, button);
}

/** Of one square of a QR code, in pixels: whole numbers, so that all are the same size. */
const LEAST_SQUARE = 3;
const LARGEST_SQUARE = 4;
const WANTED_SIDE = 440;

/** A QR code from its rows of 0 and 1, on white with a quiet zone whatever the colours of the page. */
export function qrCode(rows, label) {
  const margin = 4;
  const side = rows.length + 2 * margin;
  const path = rows
    .flatMap((row, y) => [...row].map((dark, x) => (dark === '1' ? `M${x + margin} ${y + margin}h1v1h-1z` : '')))
    .join('');
  const code = svg(
    'svg',
    { viewBox: `0 0 ${side} ${side}`, class: 'qr', role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' },
    svg('rect', { width: side, height: side, fill: '#fff' }),
    svg('path', { d: path, fill: '#000' }),
  );
  const square = Math.max(LEAST_SQUARE, Math.min(LARGEST_SQUARE, Math.floor(WANTED_SIDE / side)));
  code.style.width = `${side * square}px`;
  return code;
}
