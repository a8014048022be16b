/** Pieces of SVG as text: escaped, numbers short. What the charts have in common: fonts, colours, scales. */

/** One colour per system, told apart by people who see colours differently (Okabe and Ito). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9', '#8a6d00', '#555555'];
export const INK = '#1b1f24';
export const FAINT = '#6a737d';
export const GRID = '#e3e6ea';
/** Width of all charts. */
export const CHART_WIDTH = 920;

type Attributes = Readonly<Record<string, string | number>>;

/** The colour of a system among all of an experiment. */
export function colourOf(system: string, systems: readonly string[]): string {
  return COLOURS[Math.max(0, systems.indexOf(system)) % COLOURS.length]!;
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char]!);
}

/** An element; `content` is SVG already. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const text = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? short(value) : escapeXml(value)}"`)
    .join('');
  return content === '' ? `<${name}${text}/>` : `<${name}${text}>${content}</${name}>`;
}

/** A line of text. */
export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, fill: INK, 'font-size': 12, ...attributes }, escapeXml(text));
}

/** A whole picture with a title for screen readers. */
export function picture(heightPx: number, title: string, parts: readonly string[]): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      ...{ viewBox: `0 0 ${CHART_WIDTH} ${short(heightPx)}`, width: CHART_WIDTH, height: heightPx, role: 'img' },
      'font-family': "'DejaVu Sans', 'Helvetica Neue', Arial, sans-serif",
    },
    [
      element('title', {}, escapeXml(title)),
      element('rect', { width: CHART_WIDTH, height: heightPx, fill: '#ffffff' }),
      ...parts,
    ].join('\n'),
  );
}

/** Round values from 0 that cover `most`, five or so. */
export function ticksUpTo(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** A number for people: three digits that count. */
export function amount(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))} G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

function short(value: number): string {
  return String(Math.round(value * 100) / 100);
}
