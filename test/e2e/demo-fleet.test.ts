/** `diskswarm demo fleet` as people start it, with few hosts: what it says at the end, and that nothing stays behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { type Json, temporaryFolder } from './processes.ts';

const LAUNCHER = fileURLToPath(new URL('../../host-agent/bin/diskswarm.js', import.meta.url));
/** What a boot of the guest, or of its recording, reads at least. */
const BOOT_BYTES = 1024 * 1024;

interface Demo {
  readonly child: ChildProcess;
  readonly folder: string;
  /** What it printed so far; grows. */
  readonly documents: readonly Json[];
  readonly exited: Promise<number | null>;
}

/** The demonstration with its folders in one of the test's, told of each line. */
function startDemo(
  t: ExecutionContext,
  args: readonly string[],
  onLine: (line: Json, child: ChildProcess) => void = () => {},
): Demo {
  const folder = temporaryFolder(t);
  const child = spawn(process.execPath, [LAUNCHER, 'demo', 'fleet', '--json', ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => void child.kill('SIGTERM'));
  const documents: Json[] = [];
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on('line', (text) => {
    const line = JSON.parse(text) as Json;
    documents.push(line);
    onLine(line, child);
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, folder, documents, exited };
}

/** Agents, guests and commands that were started with folders in this one. */
function processesOf(folder: string): string[] {
  return fs.readdirSync('/proc').filter((entry) => {
    try {
      return fs.readFileSync(`/proc/${entry}/environ`, 'latin1').includes(`TMPDIR=${folder}\0`);
    } catch {
      return false; // Not a process, or gone, or somebody else's.
    }
  });
}

test.serial(
  'three hosts boot one template; the seed sends about one copy, and the rest comes from each other',
  async (t) => {
    const { documents, exited, folder } = startDemo(t, ['--hosts', '3']);
    t.is(await exited, 0, JSON.stringify(documents.at(-1)));
    const result = documents.at(-1) as Json;
    t.like(result, { event: 'result', ok: true, hosts: 3 });
    const perHost = result.perHost as Record<string, number>[];
    t.deepEqual(
      perHost.map(({ name }) => String(name)),
      ['lab1', 'lab2', 'lab3'],
    );
    const [oneBoot, fromSeed, shared] = [result.oneBootBytes, result.seedSentBytes, result.sharedBytes].map(Number);
    for (const { touchedBytes = 0, fromSeedBytes = 0, fromOthersBytes = 0, loginMs = 0 } of perHost) {
      t.true(touchedBytes > BOOT_BYTES && fromOthersBytes > 0 && loginMs > 0, JSON.stringify(perHost));
      t.true(fromSeedBytes + fromOthersBytes >= touchedBytes, 'whatever a guest read came from somewhere');
    }
    t.true(fromSeed! >= oneBoot! * 0.9 && fromSeed! <= oneBoot! * 1.5, JSON.stringify(result));
    t.true(shared! > fromSeed!, 'two of three copies came from other hosts');
    const phases = documents.filter(({ event }) => event === 'end').map(({ phase }) => phase);
    t.deepEqual(phases, ['workload', 'hosts', 'template', 'clones', 'boots']);
    t.deepEqual(fs.readdirSync(folder), [], 'its folders are gone');
    t.deepEqual(processesOf(folder), [], 'and so is all it started');
  },
);

test.serial(
  'Ctrl-C ends it and leaves nothing; what cannot be shown is refused before anything is started',
  async (t) => {
    const demo = startDemo(t, ['--hosts', '2'], ({ event, phase }, child) => {
      if (event === 'begin' && phase === 'template') child.kill('SIGINT');
    });
    t.is(await demo.exited, 1);
    t.like(demo.documents.at(-1), { error: { code: 'ABORTED' } });
    t.deepEqual(fs.readdirSync(demo.folder), []);
    t.deepEqual(processesOf(demo.folder), []);
    const refused = ['1', '17', 'many'].map((hosts) => startDemo(t, ['--hosts', hosts]));
    for (const { exited, documents } of refused) {
      t.is(await exited, 2);
      t.like(documents.at(-1), { error: { code: 'INVALID_ARGUMENT' } });
    }
  },
);
