/** Hosts that boot: a disk that never comes whole ends the run at its limit, which is told and is no failure. Needs root, for the line. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { readExperiment } from '../src/experiment/read-experiment.ts';
import { measureBoot, type OpenedDisk } from '../src/hosts/measure-boot.ts';
import { openLine } from '../src/link/link.ts';
import { endAll, serve } from '../src/programs.ts';
import { figuresOf } from '../src/run/result.ts';
import type { RunEvent } from '../src/run/run-folder.ts';
import type { RunContext } from '../src/systems/system.ts';
import { formatTrace } from '../src/traces/trace.ts';

const FILE = `
name: mine
title: Never whole
systems: [diskswarm-boot]
links: [{ name: LAN, rate: 1 Gbit/s }]
workloads: [replay]
guest: { disk: 48 MiB, content: 8 MiB }
runs: 1
limit: 10 s
`;

test.serial('a disk that never comes whole ends at the limit', async (t) => {
  const folder = await mkdtemp(join(os.tmpdir(), 'bench-limit-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  // What still runs would hold the test's process back.
  t.teardown(() => endAll());
  const [socket, trace] = [join(folder, 'disk.sock'), join(folder, 'trace')];
  const read = { atUs: 0, operation: 'read', offsetBytes: 0, lengthBytes: 4096, tookUs: 10 } as const;
  await writeFile(trace, formatTrace([read], []));
  await serve(['nbdkit', '--foreground', '--unix', socket, 'memory', 'size=1M'], async () => existsSync(socket));
  const line = await openLine({ bitsPerSecond: 1e9, delayMs: 0, queueBytes: 65_536 });
  t.teardown(() => line.close());
  const experiment = { ...readExperiment(FILE, 'mine.yaml'), limitSeconds: 1 };
  const events: RunEvent[] = [];
  const context: Partial<RunContext> = {
    ...{ experiment, run: planRuns(experiment)[0]!, trace, folder, line, log: () => {} },
    record: (event, atMs, data = {}) => events.push({ event, atMs, ...data }),
  };
  let checked = false;
  const disk: OpenedDisk = {
    uri: `nbd+unix:///?socket=${socket}`,
    whole: new Promise(() => {}),
    check: async () => {
      checked = true;
    },
  };
  // Its artefacts are those of guests, and a trace has none.
  await measureBoot({ artefacts: {}, ...context } as RunContext, { open: async () => disk });
  t.like(
    events.find(({ event }) => event === 'booted'),
    { ended: false },
  );
  t.false(checked);
  const { total, played, bytes, whole } = figuresOf(events, []);
  t.true((total ?? 0) >= 1 && (total ?? 0) < 30, `${total}`);
  t.true((played ?? 0) > 0);
  t.true((bytes ?? 1) < 0.01, 'the disk is at the near end');
  t.is(whole, undefined);
});
