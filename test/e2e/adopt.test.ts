/** A QEMU that a user started himself on our exports: adopted, moved while its guest writes, and back; and those that cannot be. */
import fs from 'node:fs';
import path from 'node:path';
import { prepareGuest } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { AdoptedMachine } from './adopted-machine.ts';
import { DISK } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { VmGuest } from './vm-guest.ts';

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
    ...['-drive', `file=nbd+unix:///${DISK}?socket=${folder}/${DISK}.sock,if=none,id=root,format=raw,cache=none`],
    ...['-device', 'virtio-blk-pci,drive=root,addr=0x7'],
    '-blockdev',
    `driver=nbd,node-name=more,server.type=unix,server.path=${folder}/data.sock,export=data,reconnect-delay=60`,
    ...['-device', 'virtio-blk-pci,drive=more'],
  ]);
  const file = qemu.argumentFile(folder);
  await guest.ready();
  return { folder, home, office, guest, qemu, file };
}

/** QEMUs that run in a folder of the test. */
function machinesIn(folder: string): number[] {
  return fs.readdirSync('/proc').flatMap((entry) => {
    try {
      return fs.readlinkSync(`/proc/${entry}/cwd`).startsWith(`${folder}/`) ? [Number(entry)] : [];
    } catch {
      return []; // Not a process, or gone.
    }
  });
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
    t.like(await here.ok('vm', 'migrate', VM, '--to', there.id), { phase: 'post' });
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
