/**
 * What a user is told of a move before, while and after it: the plan, the watch and the record, between real agents with a real guest.
 */
import fs from 'node:fs';
import path from 'node:path';
import { prepareGuest } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { DISK } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { hasMoved, VmGuest } from './vm-guest.ts';

const MIB = 1024 * 1024;
const IMAGE = { sizeBytes: 32 * MIB, contentBytes: 8 * MIB, bootBytes: MIB };
const VM = 'desk';
const ENV = { DISKSWARM_ACCEL: 'tcg' };

interface World {
  readonly home: Host;
  readonly office: Host;
  readonly lab: Host;
  readonly guest: VmGuest;
}

/** A machine that runs at home, an office that may run it, and a lab that may have its disk. */
async function startWorld(t: ExecutionContext): Promise<World> {
  const artefacts = await prepareGuest({ image: IMAGE });
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  fs.copyFileSync(artefacts.rootImage, image);
  const [home, office, lab] = ['home', 'office', 'lab'].map((name) => new Host(t, folder, name)) as [Host, Host, Host];
  await Promise.all([home.start({ env: ENV }), home.ok('owner', 'init')]);
  await office.start({ args: ['--peer', home.daemon!.listen], env: ENV });
  await lab.start({ args: ['--peer', home.daemon!.listen, '--peer', office.daemon!.listen], env: ENV });
  await home.ok('disk', 'import', image, '--name', DISK);
  await home.invite(office, DISK);
  await home.connectedTo(office);
  const guest = new VmGuest(home);
  t.teardown(() => {
    for (const entry of fs.readdirSync('/proc')) {
      try {
        if (fs.readlinkSync(`/proc/${entry}/cwd`).startsWith(`${folder}/`)) process.kill(Number(entry), 'SIGKILL');
      } catch {
        // Not a process, or gone.
      }
    }
  });
  const args = guest.arguments(artefacts);
  await office.ok('vm', 'allow', '--', ...args);
  await home.ok('vm', 'start', VM, '--disk', DISK, '--memory', '128M', '--', ...args);
  await guest.ready();
  return { home, office, lab, guest };
}

/** Numbers of an object, by name. */
function numbers(value: unknown): Record<string, number> {
  return value as Record<string, number>;
}

test.serial(
  'a plan, the watch and the record of a move; how right the plan was; the record outlives the agent',
  async (t) => {
    const { home, office, lab, guest } = await startWorld(t);
    const migrate = ['vm', 'migrate', VM, '--to', office.id];
    t.is((await home.run([...migrate.slice(0, -1), lab.id, '--plan'])).errorCode, 'PEER_UNREACHABLE');

    const alone = await home.ok(...migrate, '--plan');
    t.log(alone);
    t.true(numbers(alone.bytesToSend).disk! >= IMAGE.contentBytes, 'nobody else has the disk');
    t.is(alone.diskBytesElsewhere, 0);
    t.true(Number(alone.linkBytesPerSecond) > MIB, 'a loopback was probed');
    t.is(alone.converges, true);
    t.true(Number(alone.memoryDirtyBytesPerSecond) >= 0);
    t.is((await home.ok('vm', 'info', VM)).state, 'running');
    t.is((await home.ok('vm', 'info', VM)).migration, null, 'a plan is no migration');

    await home.invite(lab, DISK);
    await lab.ok('disk', 'pull', DISK);
    const near = await eventually('home hears that the lab has it', async () => {
      const plan = await home.ok(...migrate, '--plan');
      return Number(plan.diskBytesElsewhere) >= IMAGE.contentBytes && plan;
    });
    t.true(numbers(near.bytesToSend).disk! < numbers(alone.bytesToSend).disk!);

    // Slow enough to be watched, and written to meanwhile.
    await guest.say('write', 'before', 2 * MIB, 1);
    const moving = home.ok(...migrate, '--bandwidth', '8M', '--no-compress');
    await eventually('it is planned', async () => {
      const status = (await home.call('vm.migrateStatus', { name: VM, watch: false }).catch(() => null)) as Json | null;
      return status !== null && (status.record as Json).plan !== null;
    });
    const writing = guest.say('write', 'meanwhile', 2 * MIB, 2).catch(() => null);
    const watched = await home.run(['vm', 'migrate-status', VM, '--watch']);
    await writing;
    const moved = await moving;
    t.is(moved.to, office.id);
    t.true(hasMoved(moved));
    t.is(watched.exitCode, 0);
    const phases = new Set(watched.documents.map(({ phase }) => phase));
    t.true(phases.has('memory') && phases.has('ended'), [...phases].join());
    for (const { event, phaseText, link, elapsedMs } of watched.documents) {
      t.is(event, 'migration');
      t.true(typeof phaseText === 'string' && phaseText !== '');
      t.true(Number(elapsedMs) >= 0 && numbers(link).memoryBytesPerSecond! >= 0);
    }
    const copying = watched.documents.filter(({ memory }) => memory !== null && memory !== undefined);
    t.true(copying.length > 0, 'the memory was seen on its way');
    t.true(
      copying.some(({ memory }) => numbers(memory).totalBytes! >= 128 * MIB && numbers(memory).remainingBytes! > 0),
    );
    t.true(copying.some(({ link }) => numbers(link).memoryBytesPerSecond! > 0));

    const { migration } = await eventually('the record is there', async () => {
      const info = await home.ok('vm', 'info', VM);
      const record = info.migration as Json | null;
      return record?.result === 'done' && record.faults !== null && record.plan !== null && info;
    });
    const record = migration as Json;
    t.log(record);
    for (const field of [
      'downtimeMs',
      'disruptionMs',
      'additionalDisruptionMs',
      'migrationMs',
      'stopToRunningMs',
      'drainMs',
      'freeAtMs',
      'memoryPasses',
    ])
      t.true(
        Number.isFinite(record[field]) && Number(record[field]) >= 0,
        `${field}: ${JSON.stringify(record[field])}`,
      );
    t.true(Number(record.downtimeMs) < Number(record.disruptionMs));
    t.true(Number(record.disruptionMs) <= Number(record.migrationMs));
    t.true(!Number.isNaN(Date.parse(String(record.freeAt))));
    t.true((record.rounds as Json[]).length === record.roundsTotal && Number(record.roundsTotal) > 0);
    t.like(record, { diskMode: 'hybrid', compress: false, to: office.id });
    const sources = record.bytesBySource as { host: string; faultBytes: number; backgroundBytes: number }[];
    const from = (host: Host): number =>
      sources
        .filter((each) => each.host === host.id)
        .reduce((sum, each) => sum + each.faultBytes + each.backgroundBytes, 0);
    t.true(from(lab) > 0, 'the lab gave chunks');
    t.true(from(home) > 0, 'and so did home');
    t.true(numbers(record.faults).max! >= numbers(record.faults).p50!);

    // How right the plan was. Times are stretched by a loaded machine, bytes are not.
    const plan = record.plan as Json;
    const memory = Number(record.memoryBytes) / numbers(plan.bytesToSend).memory!;
    t.true(memory > 0.4 && memory < 2.5, `memory: ${memory} of what was planned`);
    // Planned as it lies on the disk; what went was packed, some of it to a tenth.
    const disk = from(home) / numbers(plan.bytesToSend).disk!;
    t.true(disk >= 0.5, `disk: ${disk} of what was planned`);
    const accuracy = numbers(record.accuracy);
    t.true(accuracy.bytes! > 0.4 && accuracy.bytes! < 2.5, JSON.stringify(accuracy));
    t.true(accuracy.time! > 0.2 && accuracy.time! < 10, JSON.stringify(accuracy));
    t.true(accuracy.pause! > 0, JSON.stringify(accuracy));
    t.true(Number(record.memoryRatio) > 0);

    guest.host = office;
    await guest.ready();
    t.true((await guest.say('checkall')).length > 0);
    await home.stop();
    await home.start({ env: ENV });
    t.deepEqual((await home.ok('vm', 'info', VM)).migration, record);
  },
);

test.serial(
  'a move that was cancelled, and one that the agent did not see the end of, leave records that say so',
  async (t) => {
    const { home, office, guest } = await startWorld(t);
    const slowly = ['vm', 'migrate', VM, '--to', office.id, '--bandwidth', '3M', '--no-compress'];
    const underWay = (): Promise<unknown> =>
      eventually('the memory is on its way', async () => {
        const status = (await home
          .call('vm.migrateStatus', { name: VM, watch: false })
          .catch(() => null)) as Json | null;
        return status?.phase === 'memory' && status.memory !== null;
      });
    const cancelled = home.run(slowly);
    await underWay();
    t.is(((await home.ok('vm', 'info', VM)).migration as Json).result, 'running');
    await home.ok('vm', 'migrate-cancel', VM);
    t.is((await cancelled).errorCode, 'ABORTED');
    const first = (await home.ok('vm', 'info', VM)).migration as Json;
    t.like(first, { result: 'cancelled', accuracy: null, downtimeMs: null });
    t.false('freeAt' in first);
    t.true(Number(first.memoryBytes) > 0 && first.plan !== null);

    await eventually(
      'the office is ready again',
      async () => ((await office.ok('vm', 'ls')).vms as Json[]).length === 0,
    );
    const second = home.run(slowly).catch(() => null);
    await underWay();
    await home.daemon!.crash();
    await second;
    await home.start({ args: ['--peer', office.daemon!.listen], env: ENV });
    await guest.ready();
    const record = (await home.ok('vm', 'info', VM)).migration as Json;
    t.like(record, { result: 'unknown', to: office.id });
    t.not(record.migration, first.migration, 'it is the record of the second');
    t.like(await home.ok('vm', 'info', VM), { state: 'running' });
  },
);
