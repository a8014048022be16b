/**
 * Every benchmark that needs no root, small: what it measures has to come out right, however long it takes.
 *
 * One after the other, because each starts servers and loads of its own.
 */
import { ROWS, runRow } from '@diskswarm/bench';
import test from 'ava';

for (const row of ROWS.filter(({ needsRoot }) => !needsRoot)) {
  test.serial(row.name, async (t) => {
    const result = await runRow(row, { smoke: true, rounds: null, log: (message) => t.log(message) });
    t.true(result.figures.length > 0);
    t.true(result.checks.length > 0);
    for (const { label, value } of result.figures) t.true(Number.isFinite(value), `${label}: ${value}`);
    for (const { subject, values } of result.series) t.true(values.length > 0, subject);
  });
}
