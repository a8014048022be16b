/**
 * What was modelled, as a report shows it: cells like those of runs but for their workload's name, and how far model and runs lie apart
 * where both were done.
 */
import type { Experiment } from '../experiment/experiment.ts';
import type { ModelledCrowd } from '../model/crowd-model.ts';
import type { KeptModel } from '../model/kept-model.ts';
import { growthChart } from './charts/growth.ts';
import { amount } from './charts/svg.ts';
import { MEASURES, type MeasureName } from './measures.ts';
import { plot, type Section } from './plots.ts';
import type { Cell, Spread } from './summary.ts';

/** Figures that have a picture: others go with these. */
const PICTURED: readonly MeasureName[] = ['login', 'loginTail', 'bytes'];

/** A cell for every crowd. */
export function modelledCells({ crowds }: KeptModel): readonly Cell[] {
  return crowds.map((crowd) => {
    const { system, link, hosts, cores, group, loginSeconds } = crowd;
    const [login, loginTail, lastLogin] = loginSeconds;
    const once = (value: number): Spread => ({ n: 1, median: value, lowest: value, highest: value });
    const shared = cores === null ? '' : ` on ${cores} cores`;
    const grouped = group === 1 ? '' : `, ${group} chunks at a time`;
    return {
      ...{ system, link, workload: `modelled: ${hosts.toLocaleString('en-US')} hosts${shared}${grouped}` },
      ...{ runs: 1, exact: true, failed: 0, overLimit: 0, timeline: null, moves: [] },
      spreads: {
        ...{ login: once(login), loginTail: once(loginTail), lastLogin: once(lastLogin) },
        ...{ total: once(crowd.totalSeconds), bytes: once(crowd.lineBytes / 1e6) },
        copies: once(crowd.sentBytes / crowd.oneHostBytes),
      },
    };
  });
}

/** One section per link; none without a model. */
export function modelledSections(
  model: KeptModel | null,
  { links, systems, workloads }: Experiment,
  cells: readonly Cell[],
): readonly Section[] {
  if (model === null) return [];
  const all = modelledCells(model);
  const number = (label: string): number => workloads.find((workload) => workload.label === label)?.settings.hosts ?? 1;
  return links.flatMap(({ name: link }) => {
    const own = all.filter((cell) => cell.link === link);
    const plots = MEASURES.filter(({ name }) => PICTURED.includes(name)).flatMap((measure) => {
      const growths = systems.map((system) => ({ system, points: pointsOf(model, { link, system }, measure.name) }));
      const title = `${link}, modelled: ${measure.title}`;
      return plot(`modelled ${link} ${measure.name}`, title, growthChart(measure, growths, systems));
    });
    const lines = cells.flatMap((cell) => {
      const crowd = model.crowds.find(
        (each) =>
          each.cores !== null &&
          each.link === link &&
          each.system === cell.system &&
          each.hosts === number(cell.workload),
      );
      return cell.link !== link || crowd === undefined ? [] : overlap(cell, crowd);
    });
    return own.length === 0 ? [] : [{ title: `Modelled: ${link}`, cells: own, plots, isMap: false, lines }];
  });
}

/** Over the number of hosts, where each has a core of its own. */
function pointsOf(
  model: KeptModel,
  place: { readonly link: string; readonly system: string },
  name: MeasureName,
): { x: number; y: number }[] {
  const own = model.crowds.filter(
    ({ link, system, cores }) => link === place.link && system === place.system && cores === null,
  );
  return modelledCells({ ...model, crowds: own }).map(({ spreads }, index) => ({
    x: own[index]!.hosts,
    y: spreads[name]!.median,
  }));
}

/** `boot of 4 hosts, nbd-overlay: modelled over measured: bytes on the line 1.02 × (…)`. */
function overlap({ system, workload, spreads }: Cell, { loginSeconds, lineBytes }: ModelledCrowd): string[] {
  const ratio = (name: MeasureName, words: string, unit: string, modelled: number): string[] => {
    const measured = spreads[name]?.median;
    if (measured === undefined || measured === 0) return [];
    return [
      `${words} ${amount(modelled / measured)} × (${amount(modelled)} ${unit} modelled, ${amount(measured)} measured)`,
    ];
  };
  const parts = [
    ...ratio('bytes', 'bytes on the line', 'MB', lineBytes / 1e6),
    ...ratio('login', 'median time to login', 's', loginSeconds[0]),
  ];
  return parts.length === 0 ? [] : [`${workload}, ${system}, modelled over measured: ${parts.join('; ')}`];
}
