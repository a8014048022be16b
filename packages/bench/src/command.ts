/**
 * What `diskswarm bench` loads: listing, running and reporting for the command line.
 *
 * Parsing of arguments, output and signals are the command line's.
 */
import type { BenchProgram, BenchResult } from '@diskswarm/host-agent';
import { isKept, renewDocument } from './report/document.ts';
import { changeText } from './results/words.ts';
import { writeReport } from './results/write-report.ts';
import { ROWS } from './rows/index.ts';
import { loadExperiment, shippedExperiments } from './run/load-experiment.ts';
import { runExperiment } from './run/run-experiment.ts';
import { SYSTEMS } from './systems/index.ts';
import { WORKLOADS } from './workloads/index.ts';

async function list(): Promise<BenchResult> {
  const experiments = shippedExperiments().map((name) => ({ name, title: loadExperiment(name).title }));
  const systems = SYSTEMS.map(({ name, about }) => ({ name, about }));
  const workloads = WORKLOADS.map(({ name, about, settings }) => ({ name, about, settings }));
  const rows = ROWS.map(({ name, title }) => ({ name, title }));
  const part = (title: string, lines: readonly (readonly [string, string])[]): string =>
    [title, ...lines.map(([name, about]) => `  ${name.padEnd(22)} ${about}`)].join('\n');
  const settingsOf = (settings: object): string => {
    const names = Object.keys(settings);
    return names.length === 0 ? '' : ` (${names.join(', ')})`;
  };
  const text = [
    part(
      'experiments (diskswarm bench run NAME)',
      experiments.map(({ name, title }) => [name, title]),
    ),
    part(
      'systems',
      systems.map(({ name, about }) => [name, about]),
    ),
    part(
      'workloads',
      workloads.map(({ name, about, settings }) => [name, `${about}${settingsOf(settings)}`]),
    ),
    part(
      'micro-benchmarks (pnpm bench NAME)',
      rows.map(({ name, title }) => [name, title]),
    ),
  ].join('\n\n');
  return { document: { experiments, systems, workloads, rows }, text };
}

/** The bench as the command line sees it. */
export const BENCH: BenchProgram = {
  list,
  async run(options) {
    const end = await runExperiment(options);
    // Of all runs that are kept, whichever call did them.
    const { html, failed } = await writeReport(end.out, null);
    const words = failed === 0 ? '' : `; ${failed} of all runs failed`;
    const text = `${end.done} of ${end.runs} runs done${words}; report, tables and plots: ${html}`;
    return { document: { ...end, failed, report: html }, text, ...(failed === 0 ? {} : { failure: text }) };
  },
  async report(dir, against) {
    const { html, runs, failed, comparison, png } = await writeReport(dir, against);
    if (isKept(dir)) await renewDocument();
    const of = (wanted: 'regression' | 'improvement') =>
      comparison?.changes.filter(({ verdict }) => verdict === wanted).map(changeText) ?? null;
    const [regressions, improvements] = [of('regression'), of('improvement')];
    const caveats = comparison?.caveats ?? null;
    const lines = [
      `${html}: ${runs} runs, ${failed} failed`,
      ...(png ? [] : ['plots are SVG alone: rsvg-convert (librsvg2-bin) makes PNGs of them']),
      ...(caveats ?? []),
      ...(regressions ?? []).map((line) => `worse: ${line}`),
      ...(improvements ?? []).map((line) => `better: ${line}`),
    ];
    return { document: { html, runs, failed, png, regressions, improvements, caveats }, text: lines.join('\n') };
  },
};
