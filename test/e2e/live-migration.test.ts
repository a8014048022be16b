/**
 * A running machine moves between real agents: real QEMUs, a real guest that writes, and the processes that take part dying on the way.
 */
import fs from 'node:fs';
import path from 'node:path';
import { prepareGuest } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { parseMetrics, sampleOf } from './metrics-page.ts';
import { DISK } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { hasMoved, machinesIn, VmGuest } from './vm-guest.ts';

const IMAGE = { sizeBytes: 32 * 1024 * 1024, contentBytes: 8 * 1024 * 1024, bootBytes: 1024 * 1024 };
const VM = 'desk';
/** Slow enough that the memory is on its way while a test acts. */
const SLOWLY = ['--bandwidth', '3M', '--no-compress'];

interface World {
  readonly home: Host;
  readonly office: Host;
  readonly guest: VmGuest;
}

/** A machine that runs at home, and an office that may run it. */
async function startWorld(
  t: ExecutionContext,
  { allow = true, more = [] }: { allow?: boolean; more?: readonly string[] } = {},
): Promise<World> {
  const artefacts = await prepareGuest({ image: IMAGE });
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  fs.copyFileSync(artefacts.rootImage, image);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  await Promise.all([startAgent(home), home.ok('owner', 'init')]);
  await startAgent(office, home);
  await home.ok('disk', 'import', image, '--name', DISK);
  await home.invite(office, DISK);
  for (const name of more) {
    await home.ok('disk', 'import', image, '--name', name);
    await home.invite(office, name);
  }
  await home.connectedTo(office);
  const guest = new VmGuest(home);
  t.teardown(() => {
    for (const pid of machinesIn(folder)) process.kill(pid, 'SIGKILL');
  });
  const args = guest.arguments(artefacts);
  if (allow) await office.ok('vm', 'allow', '--', ...args);
  await home.ok(
    'vm',
    'start',
    VM,
    ...[DISK, ...more].flatMap((name) => ['--disk', name]),
    '--memory',
    '128M',
    '--',
    ...args,
  );
  await guest.ready();
  return { home, office, guest };
}

function startAgent(host: Host, peer?: Host): Promise<unknown> {
  const args = ['--metrics', '127.0.0.1:0', ...(peer === undefined ? [] : ['--peer', peer.daemon!.listen])];
  return host.start({ args, env: { DISKSWARM_ACCEL: 'tcg' } });
}

/** A sample of what the host tells monitors. */
async function metricOf(host: Host, line: string): Promise<number> {
  const response = await fetch(String(host.daemon!.ready.metrics));
  return sampleOf(parseMetrics(await response.text()), line);
}

async function vmOf(host: Host): Promise<Json> {
  return (await host.call('vm.info', { name: VM })) as Json;
}

function phaseOf(host: Host, phase: string): Promise<unknown> {
  return eventually(`the migration reaches ${phase}`, async () => {
    const status = (await host.call('vm.migrateStatus', { name: VM, watch: false })) as Json;
    if (status.phase === 'ended') throw new Error(JSON.stringify(status));
    return status.phase === phase;
  });
}

/** The machine runs at `host` as if nothing had happened: the guest answers and writes, and the disk is the host's. */
async function runsOnAt(t: ExecutionContext, host: Host, guest: VmGuest): Promise<void> {
  t.like(await vmOf(host), { state: 'running' });
  t.like(await host.info(DISK), { ownerHostId: host.id });
  await guest.say('write', 'afterwards', 60_000, 9);
  t.true((await guest.say('checkall')).length > 0);
}

test.serial(
  'a machine that writes moves there and back and there again; each host can go when it has left',
  async (t) => {
    const { home, office, guest } = await startWorld(t);
    let files = 0;
    let [here, there] = [home, office];
    for (const trip of [1, 2, 3]) {
      await guest.say('write', `file-${trip}`, 300_000, trip);
      files += 1;
      if (trip === 2) await here.ok('vm', 'allow', '--', '-rtc', 'base=utc');
      const plan = await here.ok('vm', 'migrate', VM, '--to', there.id, '--plan');
      t.true(Number(plan.memoryBytes) > 0);
      t.like(await vmOf(here), { state: 'running' });
      const writing = guest.say('write', 'meanwhile', 500_000, trip).catch(() => null);
      const moved = await here.ok('vm', 'migrate', VM, '--to', there.id);
      t.is(moved.to, there.id);
      t.true(hasMoved(moved));
      t.true(Number((moved.record as Json).stopToRunningMs) > 0);
      await writing;
      guest.host = there;
      await guest.ready();
      await guest.say('write', 'meanwhile', 70_000, trip);
      t.is((await guest.say('checkall')).at(-1), String(files + 1));
      t.like(await vmOf(there), { state: 'running' });
      t.like(await there.info(DISK), { ownerHostId: there.id, epoch: trip + 1 });
      const left = await eventually('the old QEMU is gone', async () => {
        const vm = await vmOf(here);
        return vm.pid === null && vm;
      });
      t.is(left.state, 'moved');
      t.is((await here.run(['vm', 'start', VM])).errorCode, 'NOT_OWNER');
      t.like(await vmOf(here), { state: 'moved' });
      t.is((await here.info(DISK)).attached, null);
      [here, there] = [there, here];
    }
    const { generations } = (await here.ok('disk', 'history', DISK)) as { generations: Json[] };
    t.deepEqual(
      generations.map(({ epoch }) => epoch),
      [1, 1, 2, 3],
      'what only the moves needed is not history',
    );
    await here.ok('disk', 'wait', DISK, '--complete', '--timeout', '60');
    const { deltas } = (await eventually('the record of the last move is whole', async () => {
      const record = (await vmOf(there)).migration as Json | null;
      return record?.result === 'done' && record;
    })) as { deltas: { count: number; bytes: number; savedBytes: number } };
    t.true(deltas.count > 0 && deltas.bytes < deltas.savedBytes, JSON.stringify(deltas));
    await there.stop();
    await guest.say('write', 'alone', 50_000, 4);
    t.is((await guest.say('checkall')).at(-1), String(files + 2));
  },
);

test.serial('several disks of a machine move as one, there and back', async (t) => {
  const { home, office, guest } = await startWorld(t, { more: ['data'] });
  let [here, there] = [home, office];
  for (const epoch of [2, 3]) {
    await eventually('both disks are shared', async () => {
      const { peers } = (await here.call('peer.ls', {})) as { peers: Json[] };
      return peers.some((peer) => peer.hostId === there.id && (peer.disks as string[]).length === 2);
    });
    t.true(hasMoved(await here.ok('vm', 'migrate', VM, '--to', there.id)));
    guest.host = there;
    await guest.ready();
    for (const name of [DISK, 'data']) {
      t.like(await there.info(name), { ownerHostId: there.id, epoch });
      t.like((await there.info(name)).attached, { state: 'writable', clients: 1 });
      await there.ok('disk', 'wait', name, '--complete', '--timeout', '60');
    }
    const groups = await Promise.all(
      [DISK, 'data'].map(
        async (name) => ((await there.ok('disk', 'history', name)).generations as Json[]).at(-1)?.group,
      ),
    );
    t.regex(String(groups[0]), /^[0-9a-f]{32}$/);
    t.is(groups[1], groups[0], 'what both disks held in the pause belongs together');
    await runsOnAt(t, there, guest);
    await eventually('the old QEMU is gone', () => machinesIn(here.state).length === 0);
    [here, there] = [there, here];
  }
});

test.serial('what the destination does not allow is refused, and the machine goes on', async (t) => {
  const { home, office, guest } = await startWorld(t, { allow: false });
  const refused = await home.run(['vm', 'migrate', VM, '--to', office.id]);
  t.is(refused.errorCode, 'MIGRATION_FAILED');
  t.is(refused.errorData.reason, 'VM_ARGS_NOT_ALLOWED');
  t.regex(refused.errorMessage, /diskswarm vm allow -- -kernel/);
  await runsOnAt(t, home, guest);
  t.deepEqual((await office.ok('vm', 'ls')).vms, []);
});

test.serial('cancelled on the way: the machine goes on, nothing is left there, and the next try works', async (t) => {
  const { home, office, guest } = await startWorld(t);
  const moving = home.run(['vm', 'migrate', VM, '--to', office.id, ...SLOWLY]);
  await phaseOf(home, 'memory');
  t.is((await home.run(['vm', 'migrate', VM, '--to', office.id])).errorCode, 'VM_STATE', 'one at a time');
  t.is(await metricOf(home, 'diskswarm_migrations_running{direction="out"}'), 1);
  t.is(await metricOf(office, 'diskswarm_migrations_running{direction="in"}'), 1);
  await home.ok('vm', 'migrate-cancel', VM);
  t.is((await moving).errorCode, 'ABORTED');
  await runsOnAt(t, home, guest);
  await eventually('nothing is left there', async () => {
    const { vms } = (await office.call('vm.ls', {})) as { vms: Json[] };
    return vms.length === 0 && machinesIn(office.state).length === 0 && (await office.info(DISK)).attached === null;
  });
  t.true(hasMoved(await home.ok('vm', 'migrate', VM, '--to', office.id)));
  guest.host = office;
  await guest.ready();
  await runsOnAt(t, office, guest);
  await eventually('monitors hear of both moves', async () => {
    const ended = (direction: string, result: string): string =>
      `diskswarm_migrations_total{direction="${direction}",result="${result}"}`;
    return (
      (await metricOf(home, ended('out', 'cancelled'))) === 1 &&
      (await metricOf(home, ended('out', 'done'))) === 1 &&
      (await metricOf(office, ended('in', 'discarded'))) === 1 &&
      (await metricOf(office, ended('in', 'done'))) === 1
    );
  });
  t.true((await metricOf(home, 'diskswarm_migration_sent_bytes_total{kind="memory"}')) > 1024 ** 2);
  t.is(await metricOf(office, 'diskswarm_machines{state="running"}'), 1);
});

test.serial(
  'with post-copy of its memory a machine goes on at the destination while the rest follows, and back',
  async (t) => {
    const { home, office, guest } = await startWorld(t);
    await guest.say('write', 'before', 300_000, 3);
    let [here, there] = [home, office];
    for (const _trip of [1, 2]) {
      t.true(hasMoved(await here.ok('vm', 'migrate', VM, '--to', there.id, '--memory', 'postcopy')));
      guest.host = there;
      await guest.ready();
      await runsOnAt(t, there, guest);
      const { record } = (await here.ok('vm', 'migrate-status', VM, '--watch')) as { record: Json };
      t.like(record, { result: 'done', memoryMode: 'postcopy' });
      const pause = record.pauseMs as Json;
      t.true(
        Number(pause.accepted) <= Number(pause.completed),
        'the disks are given away before the last of the memory goes',
      );
      const from = here;
      await eventually('the old QEMU is gone', async () => (await vmOf(from)).pid === null);
      t.like(await vmOf(from), { state: 'moved' });
      [here, there] = [there, here];
    }
  },
);

test.serial('the QEMU, then the agent of the destination dies on the way: the machine goes on', async (t) => {
  const { home, office, guest } = await startWorld(t);
  let moving = home.run(['vm', 'migrate', VM, '--to', office.id, ...SLOWLY]);
  await phaseOf(home, 'memory');
  const pid = await eventually('QEMU waits there', async () => Number((await vmOf(office)).pid));
  process.kill(pid, 'SIGKILL');
  t.is((await moving).errorCode, 'MIGRATION_FAILED');
  await runsOnAt(t, home, guest);

  moving = home.run(['vm', 'migrate', VM, '--to', office.id, ...SLOWLY]);
  await phaseOf(home, 'memory');
  await office.daemon!.crash();
  t.is((await moving).errorCode, 'MIGRATION_FAILED');
  await runsOnAt(t, home, guest);
  await startAgent(office, home);
  await eventually('its QEMU is put away', () => machinesIn(office.state).length === 0);
  await home.connectedTo(office);
  t.true(hasMoved(await home.ok('vm', 'migrate', VM, '--to', office.id)));
  guest.host = office;
  await guest.ready();
  await runsOnAt(t, office, guest);
});

test.serial('the agent, then the QEMU of the source dies on the way: what was flushed is there', async (t) => {
  const { home, office, guest } = await startWorld(t);
  await guest.say('write', 'letter', 200_000, 5);
  const moving = home.run(['vm', 'migrate', VM, '--to', office.id, ...SLOWLY]).catch(() => null);
  await phaseOf(home, 'memory');
  await home.daemon!.crash();
  await moving;
  await startAgent(home, office);
  await guest.ready();
  await runsOnAt(t, home, guest);
  await eventually('nothing is left there', async () => {
    const { vms } = (await office.call('vm.ls', {})) as { vms: Json[] };
    return vms.length === 0 && machinesIn(office.state).length === 0;
  });

  await home.connectedTo(office);
  const second = home.run(['vm', 'migrate', VM, '--to', office.id, ...SLOWLY]);
  await phaseOf(home, 'memory');
  process.kill(Number((await vmOf(home)).pid), 'SIGKILL');
  t.is((await second).errorCode, 'MIGRATION_FAILED');
  const stopped = await eventually('its end is recorded', async () => {
    const vm = await vmOf(home);
    return vm.state === 'stopped' && vm;
  });
  t.is(stopped.pid, null);
  t.like(await home.info(DISK), { ownerHostId: home.id, attached: null });
  await home.ok('vm', 'start', VM);
  await guest.ready();
  await guest.say('checkall');
  await runsOnAt(t, home, guest);
});
