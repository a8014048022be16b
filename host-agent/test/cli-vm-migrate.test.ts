/** What the commands of a move print: for people in words, with --json one object a line. */
import test from 'ava';
import type { MigrationEstimate, MigrationStatus } from '../src/control/methods.ts';
import { finished, Home } from './support/cli-process.ts';
import { fakeAgent, makeDisk } from './support/fake-agent.ts';

const MIB = 1024 * 1024;
const to = makeDisk().keys.hostId;
const plan: MigrationEstimate = {
  ...{ name: 'desk', to, diskBytes: 30 * MIB, diskBytesOnlyHere: 20 * MIB, memoryBytes: 128 * MIB, seconds: 13 },
  bytesToSend: { total: 60 * MIB, disk: 20 * MIB, rewritten: 0, memory: 40 * MIB },
  ...{ diskBytesElsewhere: 10 * MIB, linkBytesPerSecond: 5 * MIB, diskDirtyBytesPerSecond: 0, expectedMs: 12_400 },
  ...{
    memoryDirtyBytesPerSecond: 0,
    expectedPauseMs: 420,
    expectedStalls: 0,
    converges: false,
    reason: 'it does not end',
    warnings: [],
  },
};
const status: MigrationStatus = {
  ...{ event: 'migration', name: 'desk', to, phase: 'rounds', phaseText: 'sending what was written', elapsedMs: 4_000 },
  ...{ round: 3, missingBytes: MIB, memoryBytes: 0, diskBytes: 20 * MIB, memory: null, sources: null, faults: null },
  link: { memoryBytesPerSecond: 0, faultBytesPerSecond: null, backgroundBytesPerSecond: null },
  record: { result: 'running', plan },
};
const over: MigrationStatus = {
  ...{ ...status, phase: 'ended', phaseText: 'over' },
  record: { result: 'done', migrationMs: 13_000, downtimeMs: 380, plan },
};

function documentsOf(text: string): unknown[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

test.serial('a plan, for people and for programs', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, {
    'vm.migrate': async (params) => {
      t.true(params.plan);
      return plan;
    },
  });
  const command = ['vm', 'migrate', 'desk', '--to', to, '--plan'];
  const words = await finished(home.spawn(command));
  t.is(words.code, 0);
  t.regex(words.stdout, /nothing is moved yet\n.*60M: 20M of its disks, 40M of memory/);
  t.regex(words.stdout, /no: it does not end/);
  const json = await finished(home.spawn([...command, '--json']));
  t.deepEqual(documentsOf(json.stdout), [plan]);
});

test.serial('a watch tells each state, and ends with what came of it', async (t) => {
  const home = new Home(t);
  await fakeAgent(t, home.state, {
    'vm.migrateStatus': async ({ watch }, { emit }) => {
      if (!watch) return status;
      emit(status);
      emit({ ...status, round: 4, missingBytes: 0 });
      return over;
    },
  });
  const command = ['vm', 'migrate-status', 'desk'];
  const json = await finished(home.spawn([...command, '--watch', '--json']));
  t.deepEqual(documentsOf(json.stdout), [status, { ...status, round: 4, missingBytes: 0 }, over]);
  const words = await finished(home.spawn([...command, '--watch']));
  t.regex(words.stdout, /^result +done\ntook +13 s; expected 13 s\npause +380 ms; expected 420 ms\n$/);
  t.regex(words.stderr, /sending what was written, round 3, 1M of the disks to go\n/);
  const once = await finished(home.spawn(command));
  t.regex(
    once.stdout,
    /^desk to host .*\nphase +sending what was written; 4 s so far\ndisks +20M sent, round 3, 1M to go\n/,
  );
});
