/** A QEMU that a user started himself on our exports: adopted, moved while its guest writes, and back; and those that cannot be. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { prepareGuest } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { AdoptedMachine } from './adopted-machine.ts';
import { NbdClient } from './nbd.ts';
import { DISK } from './network.ts';
import { eventually, Host, type Json, type Outcome, temporaryFolder } from './processes.ts';
import { hasMoved, machinesIn, VmGuest } from './vm-guest.ts';

const IMAGE = { sizeBytes: 32 * 1024 * 1024, contentBytes: 8 * 1024 * 1024, bootBytes: 1024 * 1024 };
const VM = 'desk';
const MACHINE = ['-nodefaults', '-no-user-config', '-display', 'none', '-cpu', 'max', '-accel', 'tcg,thread=single'];

interface World {
  readonly folder: string;
  readonly home: Host;
  readonly office: Host;
  readonly guest: VmGuest;
  readonly qemu: AdoptedMachine;
  /** The file that `vm adopt` is given. */
  readonly file: string;
}

/** Two hosts, two disks attached at home, and a QEMU on them that no agent knows. */
async function startWorld(t: ExecutionContext): Promise<World> {
  const artefacts = await prepareGuest({ image: IMAGE });
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  fs.copyFileSync(artefacts.rootImage, image);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  await Promise.all([startAgent(home), home.ok('owner', 'init')]);
  await startAgent(office, home);
  for (const name of [DISK, 'data']) {
    await home.ok('disk', 'import', image, '--name', name);
    await home.invite(office, name);
    await home.ok('disk', 'attach', name, '--socket', path.join(folder, `${name}.sock`));
  }
  t.teardown(() => {
    for (const pid of machinesIn(folder)) process.kill(pid, 'SIGKILL');
  });
  const guest = new VmGuest(home);
  const qemu = await AdoptedMachine.start(t, home, [
    ...MACHINE,
    ...['-machine', 'pc,usb=off', '-m', '128', '-smp', '1', '-serial', 'null'],
    ...guest.arguments(artefacts),
    ...[
      '-drive',
      `file=nbd+unix:///${DISK}?socket=${folder}/${DISK}.sock,file.reconnect-delay=60,if=none,id=root,format=raw`,
    ],
    ...['-device', 'virtio-blk-pci,drive=root,addr=0x7'],
    '-blockdev',
    `driver=nbd,node-name=more,server.type=unix,server.path=${folder}/data.sock,export=data,reconnect-delay=60`,
    ...['-device', 'virtio-blk-pci,drive=more'],
  ]);
  const file = qemu.argumentFile(folder);
  await guest.ready();
  return { folder, home, office, guest, qemu, file };
}

/** A host with a small empty disk, attached. */
async function startHome(t: ExecutionContext): Promise<{ folder: string; home: Host; image: string; socket: string }> {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  await Promise.all([startAgent(home), home.ok('owner', 'init')]);
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, new Uint8Array(1024 * 1024));
  await home.ok('disk', 'import', image, '--name', DISK);
  const socket = path.join(folder, 'disk.sock');
  await home.ok('disk', 'attach', DISK, '--socket', socket);
  return { folder, home, image, socket };
}

function startAgent(host: Host, peer?: Host): Promise<unknown> {
  const args = peer === undefined ? [] : ['--peer', peer.daemon!.listen];
  return host.start({ args, env: { DISKSWARM_ACCEL: 'tcg' } });
}

async function vmOf(host: Host): Promise<Json> {
  return (await host.call('vm.info', { name: VM })) as Json;
}

async function bothShared(host: Host, other: Host): Promise<void> {
  await eventually('both disks are shared', async () => {
    const { peers } = (await host.call('peer.ls', {})) as { peers: Json[] };
    return peers.some((peer) => peer.hostId === other.id && (peer.disks as string[]).length === 2);
  });
}

function migrateSlowly(from: Host, to: Host): Promise<Outcome | null> {
  return from.run(['vm', 'migrate', VM, '--to', to.id, '--bandwidth', '3M', '--no-compress']);
}

function memoryMoves(from: Host): Promise<unknown> {
  return eventually('the memory is on its way', async () => {
    const status = (await from.call('vm.migrateStatus', { name: VM, watch: false })) as Json;
    return status.phase === 'memory';
  });
}

test.serial('a QEMU of the user is adopted, moves while its guest writes, and comes back', async (t) => {
  const { folder, home, office, guest, qemu, file } = await startWorld(t);
  await guest.say('write', 'before', 300_000, 1);
  const adopted = await home.ok('vm', 'adopt', VM, '--qmp', qemu.qmp, '--qemu-args', file);
  t.like(adopted, { state: 'running', pid: qemu.pid, adopted: true, memoryBytes: 128 * 1024 * 1024, cpus: 1 });
  t.regex(String(adopted.machine), /^pc-i440fx-/);
  t.deepEqual(
    (adopted.disks as Json[]).map(({ name }) => name),
    [DISK, 'data'],
  );
  t.false(String(adopted.args).includes(path.join(folder, DISK)), 'no path of the exports here is left');
  await bothShared(home, office);

  const refused = await home.run(['vm', 'migrate', VM, '--to', office.id]);
  t.is(refused.errorData.reason, 'VM_ARGS_NOT_ALLOWED');
  t.like(await vmOf(home), { state: 'running', pid: qemu.pid });
  await office.ok('vm', 'allow', '--', ...(adopted.args as string[]));

  let [here, there] = [home, office];
  for (const epoch of [2, 3]) {
    await bothShared(here, there);
    const writing = guest.say('write', `meanwhile-${epoch}`, 500_000, epoch).catch(() => null);
    t.true(hasMoved(await here.ok('vm', 'migrate', VM, '--to', there.id)));
    await writing;
    guest.host = there;
    await guest.ready();
    await guest.say('write', `after-${epoch}`, 70_000, epoch);
    t.true((await guest.say('checkall')).length > 0);
    t.like(await vmOf(there), { state: 'running', adopted: false });
    for (const name of [DISK, 'data']) {
      t.like(await there.info(name), { ownerHostId: there.id, epoch });
      t.like((await there.info(name)).attached, { state: 'writable', clients: 1 });
      await there.ok('disk', 'wait', name, '--complete', '--timeout', '60');
    }
    const left = await eventually('the old QEMU is gone', async () => {
      const vm = await vmOf(here);
      return vm.pid === null && vm;
    });
    t.is(left.state, 'moved');
    t.true(qemu.ended);
    [here, there] = [there, here];
  }
  await eventually('one QEMU is left', () => machinesIn(office.state).length === 0);
  await home.ok('vm', 'stop', VM, '--force');
  t.like(await home.ok('vm', 'start', VM), { state: 'running', adopted: false });
  await guest.ready();
  t.true((await guest.say('checkall')).length > 0);
});

test.serial(
  'an adopted machine is found again by the next agent, and a move that is given up leaves it as it was',
  async (t) => {
    const { home, office, guest, qemu, file } = await startWorld(t);
    await home.ok('vm', 'adopt', VM, '--qmp', qemu.qmp, '--qemu-args', file);
    await office.ok('vm', 'allow', '--', ...((await vmOf(home)).args as string[]));
    await guest.say('write', 'before', 300_000, 1);
    await bothShared(home, office);
    let moving = migrateSlowly(home, office).catch(() => null);
    await memoryMoves(home);
    await home.daemon!.crash();
    await moving;
    await startAgent(home, office);
    t.like(await vmOf(home), { state: 'running', pid: qemu.pid, adopted: true });
    await guest.ready();
    await guest.say('write', 'afterwards', 300_000, 2);

    await bothShared(home, office);
    moving = migrateSlowly(home, office);
    await memoryMoves(home);
    await home.ok('vm', 'migrate-cancel', VM);
    t.is((await moving)?.errorCode, 'ABORTED');
    t.like(await vmOf(home), { state: 'running', pid: qemu.pid, adopted: true });
    await guest.say('write', 'again', 300_000, 3);
    t.is((await guest.say('checkall')).at(-1), '3');

    qemu.kill();
    const stopped = await eventually('its end is recorded', async () => {
      const vm = await vmOf(home);
      return vm.state === 'stopped' && vm;
    });
    t.like(stopped, { pid: null, adopted: false });
    t.is((await home.info(DISK)).attached, null);
    t.like(await home.ok('vm', 'start', VM), { state: 'running', adopted: false });
    await guest.ready();
    t.is((await guest.say('checkall')).at(-1), '3');
  },
);

test.serial('an agent that finds the monitor taken says so, and adopts the machine again', async (t) => {
  const { folder, home, socket } = await startHome(t);
  const drive = `file=nbd+unix:///${DISK}?socket=${socket},file.reconnect-delay=60,if=virtio,format=raw`;
  const qemu = await AdoptedMachine.start(t, home, [...MACHINE, '-m', '16', '-drive', drive]);
  const adopt = ['vm', 'adopt', VM, '--qmp', qemu.qmp, '--qemu-args', qemu.argumentFile(folder)];
  await home.ok(...adopt);
  await home.daemon!.crash();
  const busy = net.connect(qemu.qmp);
  await once(busy, 'data');
  await startAgent(home);
  const lost = await vmOf(home);
  t.like(lost, { state: 'running', pid: null, adopted: true });
  t.regex(String(lost.reason), /vm adopt desk/);
  t.is((await home.run(['vm', 'start', VM])).errorCode, 'DISK_ATTACHED');
  t.is((await home.run(adopt)).errorCode, 'TIMEOUT');
  busy.destroy();
  t.like(await home.ok(...adopt), { state: 'running', pid: qemu.pid, adopted: true, reason: '' });

  await qemu.command('stop', {});
  await home.daemon!.crash();
  await startAgent(home);
  t.like(await vmOf(home), { state: 'running', pid: qemu.pid, adopted: true });
  t.regex(await qemu.command('query-status', {}), /"paused"/, 'a guest that its user stopped stays as it is');
  await home.ok('vm', 'stop', VM, '--force');
  await eventually('QEMU is gone', () => qemu.ended);
});

test.serial('what cannot be adopted is refused with its reason, and nothing of it changes', async (t) => {
  const { folder, home, image, socket } = await startHome(t);
  const empty = [...MACHINE, '-m', '16'];
  const drive = ['-drive', `file=nbd+unix:///${DISK}?socket=${socket},if=virtio,format=raw`];

  const adopt = async (qmp: string, args: readonly string[]): Promise<string> => {
    const file = path.join(folder, 'args');
    fs.writeFileSync(file, args.join('\n'));
    const { exitCode, errorCode, errorData } = await home.run(['vm', 'adopt', VM, '--qmp', qmp, '--qemu-args', file]);
    t.not(exitCode, 0);
    return [errorCode, errorData.reason].filter((each) => typeof each === 'string').join(' ');
  };
  const cases: readonly (readonly [extra: readonly string[], verdict: string])[] = [
    [[], 'VM_NOT_ADOPTABLE no-disk'],
    [['-drive', `file=${image},format=raw,if=virtio`, ...drive], 'VM_NOT_ADOPTABLE local-disk'],
    [['-drive', `file=${image},format=raw,if=virtio,snapshot=on`, ...drive], 'VM_NOT_ADOPTABLE layer'],
    [
      [
        '-blockdev',
        `driver=nbd,node-name=n,server.type=unix,server.path=${socket}`,
        '-blockdev',
        'driver=throttle,node-name=t,throttle-group=g,file=n',
        '-object',
        'throttle-group,id=g',
      ],
      'VM_NOT_ADOPTABLE layer',
    ],
    [
      ['-object', 'memory-backend-ram,id=m,size=1M,share=on', '-device', 'ivshmem-plain,memdev=m', ...drive],
      'VM_NOT_ADOPTABLE blocked',
    ],
    [['-S', ...drive], 'VM_STATE'],
  ];
  for (const [extra, verdict] of cases) {
    const qemu = await AdoptedMachine.start(t, home, [...empty, ...extra]);
    t.is(await adopt(qemu.qmp, qemu.args), verdict, extra.join(' '));
    t.false(qemu.ended);
    await qemu.end();
  }

  const other = path.join(folder, 'other.sock');
  await AdoptedMachine.serve(t, image, other);
  let qemu = await AdoptedMachine.start(t, home, [
    ...empty,
    '-drive',
    `file=nbd+unix:///?socket=${other},if=virtio,format=raw`,
  ]);
  t.is(await adopt(qemu.qmp, qemu.args), 'VM_NOT_ADOPTABLE foreign-export', 'a disk that is not attached here');
  await qemu.end();

  const forPeople = ['-monitor', 'unix:for-people,server=on,wait=off'];
  qemu = await AdoptedMachine.start(t, home, [...empty, ...drive, ...forPeople]);
  t.is(await adopt(qemu.qmp, [...qemu.args, '-incoming', 'defer']), 'INVALID_ARGUMENT');
  t.is(await adopt(qemu.qmp, empty), 'INVALID_ARGUMENT', 'the disk is not opened');
  t.is(await adopt(qemu.qmp, [...qemu.args, ...drive]), 'INVALID_ARGUMENT', 'opened twice');
  t.is(await adopt(qemu.qmp, [...qemu.args, '-m', '32']), 'INVALID_ARGUMENT', 'other memory');
  t.is(await adopt(qemu.qmp, [...qemu.args, '-M', 'q35']), 'INVALID_ARGUMENT', 'another machine');
  t.is(await adopt(qemu.qmp, ['-x\n'.repeat(300)]), 'LIMIT_EXCEEDED');
  t.is(await adopt(path.join(folder, 'nothing'), qemu.args), 'QMP_CLOSED');
  t.is(await adopt(image, qemu.args), 'QMP_CLOSED', 'no socket');
  t.is(
    await adopt(path.join(home.state, 'machines', 'for-people'), qemu.args),
    'PROTOCOL_ERROR',
    'a monitor, but not QMP',
  );
  const relay = net.createServer().listen(path.join(folder, 'relay'));
  t.teardown(() => relay.close());
  await once(relay, 'listening');
  t.is(await adopt(path.join(folder, 'relay'), qemu.args), 'VM_NOT_ADOPTABLE relay');

  const second = await NbdClient.connect(socket, DISK);
  t.is(await adopt(qemu.qmp, qemu.args), 'VM_NOT_ADOPTABLE clients');
  second.socket.destroy();
  await eventually('one client is left', async () => ((await home.info(DISK)).attached as Json).clients === 1);

  const busy = net.connect(qemu.qmp);
  await new Promise((resolve) => busy.once('data', resolve));
  t.is(await adopt(qemu.qmp, qemu.args), 'TIMEOUT', 'the monitor serves one');
  busy.destroy();
  t.deepEqual((await home.ok('vm', 'ls')).vms, []);

  const file = qemu.argumentFile(folder);
  t.like(await home.ok('vm', 'adopt', VM, '--qmp', qemu.qmp, '--qemu-args', file), { pid: qemu.pid, adopted: true });
  t.is(await adopt(qemu.qmp, qemu.args), 'VM_EXISTS');
  t.is((await home.run(['vm', 'console', VM])).errorCode, 'VM_STATE');
  const away = ['vm', 'migrate', VM, '--to', home.id];
  t.is((await home.run(away)).errorCode, 'PEER_UNREACHABLE');
  const snapshot = path.join(folder, 'snapshot.qcow2');
  await qemu.command('blockdev-snapshot-sync', { device: 'virtio0', 'snapshot-file': snapshot, format: 'qcow2' });
  const layered = await home.run(away);
  t.is(layered.errorCode, 'VM_NOT_ADOPTABLE', 'what is written now would stay here');
  await home.ok('vm', 'stop', VM, '--force');
  t.like(await vmOf(home), { state: 'stopped', pid: null });
  await eventually('QEMU is gone', () => qemu.ended);
});
