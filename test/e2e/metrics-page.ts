/**
 * Reads a page of metrics as strictly as Prometheus does, and asks promtool, which nobody here wrote, what it thinks of it.
 */
import { spawn } from 'node:child_process';

export interface MetricFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** By the text of the line without its value. */
  readonly samples: ReadonlyMap<string, number>;
}

const SAMPLE = /^([a-zA-Z_]\w*)((?:\{(?:[a-z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (\S+)$/;

/** The families of a page, in order; throws on anything that is out of place. */
export function parseMetrics(text: string): MetricFamily[] {
  const families: (MetricFamily & { samples: Map<string, number> })[] = [];
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('the page does not end with a line feed');
  for (let at = 0; at < lines.length; at++) {
    const help = /^# HELP (\w+) (.+)$/.exec(lines[at]!);
    if (help !== null) {
      const type = /^# TYPE (\w+) (\w+)$/.exec(lines[++at] ?? '');
      if (type?.[1] !== help[1]) throw new Error(`a HELP without its TYPE: ${lines[at]}`);
      if (families.some(({ name }) => name === help[1])) throw new Error(`twice: ${help[1]}`);
      families.push({ name: help[1]!, type: type![2]!, help: help[2]!, samples: new Map() });
      continue;
    }
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(lines[at]!) ?? [];
    const family = families.at(-1);
    if (family === undefined || (name !== family.name && baseName(name) !== family.name))
      throw new Error(`a sample that belongs to no family: ${lines[at]}`);
    if (!Number.isFinite(Number(value)) || value === '') throw new Error(`no number: ${lines[at]}`);
    if (family.samples.has(`${name}${labels}`)) throw new Error(`twice: ${lines[at]}`);
    family.samples.set(`${name}${labels}`, Number(value));
  }
  return families;
}

/** Without what a histogram's lines add. */
export function baseName(name: string): string {
  return name.replace(/_(?:bucket|sum|count)$/, '');
}

/** The value of a line; fails where there is none. */
export function sampleOf(families: readonly MetricFamily[], line: string): number {
  const name = line.replace(/\{.*/, '');
  const family = families.find((each) => each.name === name || each.name === baseName(name));
  const value = family?.samples.get(line);
  if (value === undefined) throw new Error(`the page has no ${line}`);
  return value;
}

/** What `promtool check metrics` complains about; empty when it does not. */
export function promtoolComplaints(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    const take = (bytes: Buffer): void => {
      said += bytes.toString();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', reject);
    child.once('close', (code) => resolve(code === 0 ? said : `${said} (ended with ${code})`));
    child.stdin.end(text);
  });
}
