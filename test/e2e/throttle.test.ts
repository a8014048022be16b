/**
 * A machine that moves over a link slower than one of its disks is written: real agents and a QEMU, and an NBD client beside the guest that writes as fast
 * as it is answered. It is slowed so that the move ends, and only for as long as the move goes on.
 */
import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { prepareGuest } from '@diskswarm/guest';
import test, { type ExecutionContext } from 'ava';
import { NbdClient } from './nbd.ts';
import { DISK, MIB } from './network.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { machinesIn, VmGuest } from './vm-guest.ts';

const IMAGE = { sizeBytes: 32 * MIB, contentBytes: 4 * MIB, bootBytes: MIB };
const VM = 'desk';
const DATA = 'data';
const DATA_BYTES = 16 * MIB;
const BLOCK_BYTES = 4096;
const BLOCKS = DATA_BYTES / BLOCK_BYTES;
/** A round of the whole data disk takes eight seconds: more than the writer needs for it, on a busy machine too. */
const LINK = '2M';
/** Writes in a second: the least delay, of 2,048 µs, leaves 488, and any machine makes twice as many without. */
const FASTEST_SLOW = 550;

/** Writes numbered blocks from end to end, again and again, several in flight. No block is like another: nothing of them is saved on the way. */
class Writer {
  /** Number of the last write of each block that was answered. */
  readonly answered = new Float64Array(BLOCKS);
  /** The last one that was sent. */
  readonly sent = new Float64Array(BLOCKS);
  count = 0;
  #client: NbdClient | null = null;
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();
  readonly #noise = randomFillSync(Buffer.alloc(4 * MIB));

  /** Until the export takes no more writes, the connection ends, or `stop`. */
  async start(host: Host): Promise<void> {
    const attached = (await host.info(DATA)).attached as { socket: string; exportName: string };
    this.#client = await NbdClient.connect(attached.socket, attached.exportName);
    this.#stopping = false;
    this.#running = Promise.all(Array.from({ length: 16 }, (_, lane) => this.#write(this.#client!, lane)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.#client?.destroy();
  }

  /** Writes answered in a second, over half of one. */
  async rate(): Promise<number> {
    const [before, startedMs] = [this.count, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 500));
    return ((this.count - before) * 1000) / (performance.now() - startedMs);
  }

  /** Each lane has blocks of its own, so that a block is never in flight twice. */
  async #write(client: NbdClient, lane: number): Promise<void> {
    for (;;) {
      for (let block = lane; block < BLOCKS; block += 16) {
        if (this.#stopping) return;
        const mark = (this.sent[block] ?? 0) + 1;
        const at = (mark * 104_729 + block * 7919) % (this.#noise.length - BLOCK_BYTES);
        const bytes = Buffer.from(this.#noise.subarray(at, at + BLOCK_BYTES));
        bytes.writeDoubleLE(mark, 0);
        bytes.writeDoubleLE(block, 8);
        this.sent[block] = mark;
        try {
          if ((await client.write(block * BLOCK_BYTES, bytes)) !== 0) return;
        } catch {
          return;
        }
        this.answered[block] = mark;
        this.count++;
      }
    }
  }
}

async function startWorld(t: ExecutionContext) {
  const artefacts = await prepareGuest({ image: IMAGE });
  const folder = temporaryFolder(t);
  const [image, data] = ['image.raw', 'data.raw'].map((name) => path.join(folder, name)) as [string, string];
  fs.copyFileSync(artefacts.rootImage, image);
  fs.writeFileSync(data, Buffer.alloc(DATA_BYTES));
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  const writer = new Writer();
  t.teardown(() => writer.stop());
  t.teardown(() => {
    for (const pid of machinesIn(folder)) process.kill(pid, 'SIGKILL');
  });
  await Promise.all([startAgent(home), home.ok('owner', 'init')]);
  await startAgent(office, home);
  for (const [name, file] of [
    [DISK, image],
    [DATA, data],
  ] as const) {
    await home.ok('disk', 'import', file, '--name', name);
    await home.invite(office, name);
  }
  const guest = new VmGuest(home);
  const args = guest.arguments(artefacts);
  await office.ok('vm', 'allow', '--', ...args);
  await home.ok('vm', 'start', VM, '--disk', DISK, '--disk', DATA, '--memory', '128M', '--', ...args);
  await guest.ready();
  await shared(home);
  await office.call('disk.pull', { name: DISK });
  return { home, office, guest, writer };
}

/** Until both disks are shared with the other host. */
function shared(host: Host): Promise<unknown> {
  return eventually('both disks are shared', async () => {
    const { peers } = (await host.call('peer.ls', {})) as { peers: Json[] };
    return peers.some((peer) => (peer.disks as string[]).length === 2);
  });
}

function startAgent(host: Host, peer?: Host): Promise<unknown> {
  const args = ['--upload-limit', LINK, ...(peer === undefined ? [] : ['--peer', peer.daemon!.listen])];
  return host.start({ args, env: { DISKSWARM_ACCEL: 'tcg' } });
}

async function statusOf(host: Host): Promise<Json> {
  return (await host.call('vm.migrateStatus', { name: VM, watch: false })) as Json;
}

interface Throttled {
  readonly startedMs: number | null;
  readonly delayUs: number;
  readonly maxDelayUs: number;
}

function throttleOf(status: Json): Throttled {
  return (status.record as Json).throttle as Throttled;
}

/** Starts a move, and waits until it slows the writer. */
async function slowed(home: Host, office: Host) {
  const moving = home.run(['vm', 'migrate', VM, '--to', office.id, '--disk', 'precopy']);
  const ended = moving.then(({ document }) => {
    throw new Error(`it ended before: ${JSON.stringify(document)}`);
  });
  // Two whole rounds tell that they do not shrink: some ten seconds, and many more on a busy machine.
  const slow = eventually('the writer is slowed', async () => throttleOf(await statusOf(home)).delayUs > 0, 150_000);
  await Promise.race([slow, ended]);
  ended.catch(() => {});
  return { moving };
}

test.serial(
  'a disk that is written faster than the link carries is slowed until the move is over, and arrives whole',
  async (t) => {
    const { home, office, guest, writer } = await startWorld(t);
    await writer.start(home);
    const { moving } = await slowed(home, office);
    const isSlow = (rate: number): boolean => rate > 0 && rate < FASTEST_SLOW;
    await eventually('writes are slow, and go on', async () => isSlow(await writer.rate()), 10_000);
    const moved = await moving;
    t.is(moved.exitCode, 0, moved.errorMessage);
    const record = moved.document.record as Json;
    const { maxDelayUs, delayUs } = throttleOf(moved.document);
    t.true(maxDelayUs >= 2048);
    t.is(delayUs, 0);
    const rounds = (record.rounds as { missingBytes: number }[]).map(({ missingBytes }) => missingBytes);
    t.true(rounds.at(-1)! < DATA_BYTES / 3, `rounds of ${rounds.join(', ')} bytes`);
    await writer.stop();

    guest.host = office;
    await guest.ready();
    await office.ok('disk', 'wait', DATA, '--complete', '--timeout', '60');
    const attached = (await office.info(DATA)).attached as { socket: string; exportName: string };
    const reader = await NbdClient.connect(attached.socket, attached.exportName);
    for (let at = 0; at < DATA_BYTES; at += MIB) {
      const bytes = await reader.read(at, MIB);
      for (let within = 0; within < MIB; within += BLOCK_BYTES) {
        const block = (at + within) / BLOCK_BYTES;
        const mark = bytes.readDoubleLE(within);
        if (mark < writer.answered[block]! || mark > writer.sent[block]!)
          t.fail(`block ${block} holds write ${mark}, ${writer.answered[block]} was answered`);
      }
    }
    await reader.close();
  },
);

test.serial('the writer is let go at once: by a cancel, with the other host, with the agent', async (t) => {
  const { home, office, guest, writer } = await startWorld(t);
  await writer.start(home);
  const fast = (what: string) =>
    eventually(`writes are fast again after ${what}`, async () => (await writer.rate()) > FASTEST_SLOW, 10_000);

  const first = await slowed(home, office);
  await home.ok('vm', 'migrate-cancel', VM);
  t.is((await first.moving).errorCode, 'ABORTED');
  await fast('a cancel');
  t.is(throttleOf(await statusOf(home)).delayUs, 0);

  const second = await slowed(home, office);
  await office.daemon!.crash();
  t.is((await second.moving).errorCode, 'MIGRATION_FAILED');
  await fast('the loss of the other host');

  await startAgent(office, home);
  await shared(home);
  const third = await slowed(home, office);
  await home.daemon!.crash();
  await third.moving.catch(() => null);
  await writer.stop();
  await startAgent(home, office);
  await writer.start(home);
  await fast('a restart of the agent');
  await guest.ready();
  t.like(await home.call('vm.info', { name: VM }), { state: 'running' });
});
