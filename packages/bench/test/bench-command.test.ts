/** The command itself: an interrupt in the middle, going on, and what is said of mistakes. Needs root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { GuestArtefacts } from '@diskswarm/guest';
import test from 'ava';
import { planRuns } from '../src/experiment/plan.ts';
import { run } from '../src/programs.ts';
import { loadExperiment } from '../src/run/load-experiment.ts';
import { runOne, withoutPlaces } from '../src/run/run-one.ts';
import { bench, CLI, ended, folderOf } from './bench-command.ts';

const NAMESPACES = '/run/netns';
/** A second or two: nothing is sent and no guest runs. */
const ROAM = `
name: counted
title: Counted alone
systems: [full-copy-modelled]
links: [{ name: LAN, rate: 1 Gbit/s }]
workloads: [desk-week: { days: 1, edited-mib: 1, anew-mib: 1, temporary-mib: 1, cache-mib: 1, upgrade-mib: 2 }]
guest: { disk: 64 MiB, content: 12 MiB }
runs: 1
`;

function namespacesOf(pid: number | undefined): string[] {
  return readdirSync(NAMESPACES).filter((name) => name.startsWith(`dsbench-${pid}-`));
}

/** Resolves when the line of a run is being made. */
async function lineOf(pid: number | undefined): Promise<void> {
  const made = Promise.withResolvers<void>();
  const watcher = watch(NAMESPACES, () => namespacesOf(pid).length === 2 && made.resolve());
  if (namespacesOf(pid).length === 2) made.resolve();
  await made.promise;
  watcher.close();
}

test.serial('an interrupt leaves nothing but the runs that were finished, and they are not done again', async (t) => {
  const out = join(await folderOf(t), 'runs');
  const first = bench('run', 'bradford-2007', '--smoke', '--out', out);
  const { pid } = first;
  const end = ended(first);
  for await (const line of createInterface({ input: first.stderr! })) {
    if (!line.startsWith('run 2 of')) continue;
    await lineOf(pid);
    first.kill('SIGINT');
    break;
  }
  first.stderr!.resume();
  t.is((await end).code, 1);
  t.deepEqual(namespacesOf(pid), []);
  t.deepEqual(
    readdirSync(os.tmpdir()).filter((each) => each.startsWith(`dsbench-${pid}-`)),
    [],
  );
  const kept = readdirSync(join(out, 'runs'));
  t.is(kept.length, 1, kept.join(' '));
  const before = readFileSync(join(out, 'runs', kept[0]!), 'utf8');
  const again = await ended(bench('run', 'bradford-2007', '--smoke', '--out', out));
  t.is(again.code, 1);
  t.regex(again.stderr, /--resume/);
  const resumed = await ended(bench('run', 'bradford-2007', '--smoke', '--out', out, '--resume', '--json'));
  t.is(resumed.code, 0, resumed.stderr);
  t.like(JSON.parse(resumed.stdout), { runs: 2, done: 1, failed: 0 });
  t.is(readFileSync(join(out, 'runs', kept[0]!), 'utf8'), before);
  // Of 64 MiB of disk 12 have content: what is zero is sent by neither system.
  for (const file of readdirSync(join(out, 'runs'))) {
    const events = readFileSync(join(out, 'runs', file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { wireBytes } = events.find(({ event }) => event === 'moved');
    t.true(wireBytes > 12 * 2 ** 20 && wireBytes < 64 * 2 ** 20, `${file}: ${wireBytes}`);
  }
});

test.serial(
  'what a bench that was killed has left is removed by the next one, and what a living one has is not',
  async (t) => {
    const folder = await folderOf(t);
    const dead = spawn('true');
    await once(dead, 'close');
    const [left, own] = [`dsbench-${dead.pid}-left`, `dsbench-${process.pid}-own`];
    const start = (owner: number | undefined) =>
      spawn('sleep', ['300'], { env: { ...process.env, DISKSWARM_BENCH: String(owner) }, stdio: 'ignore' });
    const [forgotten, needed] = [start(dead.pid), start(process.pid)];
    t.teardown(() => needed.kill('SIGKILL'));
    for (const name of [left, own]) await mkdir(join(os.tmpdir(), name, 'disk'), { recursive: true });
    t.teardown(() => rm(join(os.tmpdir(), own), { recursive: true, force: true }));
    await run(['ip', 'netns', 'add', left]);
    const end = once(forgotten, 'close');
    await writeFile(join(folder, 'roam.yaml'), ROAM);
    const { code, stderr } = await ended(bench('run', join(folder, 'roam.yaml'), '--out', join(folder, 'out')));
    t.is(code, 0, stderr);
    t.deepEqual(await end, [null, 'SIGKILL']);
    t.is(needed.exitCode, null);
    t.false(existsSync(join(os.tmpdir(), left)));
    t.true(existsSync(join(os.tmpdir(), own)));
    t.false(readdirSync(NAMESPACES).includes(left));
  },
);

test.serial('an interrupted micro-benchmark leaves nothing', async (t) => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', main, 'link-faults', '--smoke'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = ended(child);
  await lineOf(child.pid);
  child.kill('SIGINT');
  t.is((await end).code, 130);
  t.deepEqual(namespacesOf(child.pid), []);
  t.deepEqual(
    readdirSync(os.tmpdir()).filter((each) => each.startsWith(`dsbench-${child.pid}-`)),
    [],
  );
});

test.serial('what is wrong is said before anything runs', async (t) => {
  const cases = [
    [['run', 'nothing-of-that-name'], 2, 'INVALID_ARGUMENT', /bradford-2007/],
    [
      ['run', 'bradford-2007', '--runs', '1001'],
      1,
      'BAD_EXPERIMENT',
      /runs: 1001 is not a whole number from 1 to 1000/,
    ],
    [['run', 'roam', '--out', CLI], 2, 'INVALID_ARGUMENT', /is no folder/],
    [['run', 'bradford-2007', '--runs', '0'], 2, 'INVALID_ARGUMENT', /runs/],
    [['run', CLI], 1, 'BAD_EXPERIMENT', /./],
    [['report', os.tmpdir()], 2, 'INVALID_ARGUMENT', /manifest\.json/],
  ] as const;
  for (const [args, code, word, message] of cases) {
    const { code: found, stdout } = await ended(bench(...args, '--json'));
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    t.is(found, code, stdout);
    t.is(error.code, word);
    t.regex(error.message, message);
  }
});

test.serial('what fails because everything is interrupted is no failed run', async (t) => {
  const experiment = loadExperiment('bradford-2007', { smoke: true });
  const [planned] = planRuns(experiment);
  const abort = new AbortController();
  const events: string[] = [];
  // What the run needs is gone, and a moment later the interrupt is heard.
  const artefacts = new Proxy({} as GuestArtefacts, {
    get: () => {
      setTimeout(() => abort.abort(), 50);
      throw new Error('the guest is gone');
    },
  });
  const record = (event: string) => events.push(event);
  const run = runOne(experiment, planned!, artefacts, { trace: null, record, log: () => {}, signal: abort.signal });
  await t.throwsAsync(run);
  t.false(events.includes('broken'));
});

test('why a run failed does not tell where things are on this machine', (t) => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const text = `nbdcopy /tmp/dsbench-7-x/a.raw: failed\n at ${root}packages/bench/src/a.ts, ${os.homedir()}/.cache`;
  t.is(
    withoutPlaces(text, '/tmp/dsbench-7-x'),
    'nbdcopy RUN/a.raw: failed\n at DISKSWARM/packages/bench/src/a.ts, ~/.cache',
  );
  t.is(withoutPlaces('/tmp/dsbench-7-x, /tmp/dsbench-7-xy', '/tmp/dsbench-7-x'), 'RUN, /tmp/dsbench-7-xy');
  t.is(withoutPlaces(`${os.homedir()}/run/a`, `${os.homedir()}/run`), 'RUN/a');
});
