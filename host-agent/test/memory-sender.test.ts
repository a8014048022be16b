/** What QEMU sees of a stream that is cut: while it saves its devices nothing, before that its connection breaks. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import test, { type ExecutionContext } from 'ava';
import type { Agent } from '../src/agent/agent.ts';
import { MemoryOutlet } from '../src/migration/memory-pipe.ts';
import { MemorySender } from '../src/migration/memory-sender.ts';
import type { Vm } from '../src/vm/vm.ts';
import { TestClock } from './support/test-clock.ts';

/** More than all buffers between QEMU and the sender hold. */
const MUCH_BYTES = 8 * 1024 * 1024;

interface World {
  readonly sender: MemorySender;
  /** QEMU's end of one connection. */
  readonly qemu: net.Socket;
  readonly clock: TestClock;
  /** What the runner was told. */
  readonly cuts: string[];
  /** The other host cuts the stream. */
  readonly cut: () => void;
}

/** A sender whose stream takes nothing, as one without credit. */
async function startWorld(t: ExecutionContext): Promise<World> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sender-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const clock = new TestClock();
  const cuts: string[] = [];
  const opened = Promise.withResolvers<() => void>();
  const openStream = (_host: HostId, _label: string, make: () => StreamHandlers): PeerStream => {
    const handlers = make();
    let over = false;
    const destroy = (error?: DiskswarmError): void => {
      if (over) return;
      over = true;
      handlers.onClose(error);
    };
    opened.resolve(() => destroy(new DiskswarmError('ABORTED', 'the other host cut the stream')));
    return { write: () => over, end: () => {}, destroy, sentBytes: 0 } as unknown as PeerStream;
  };
  const socketFor = async (name: string): Promise<string> => path.join(folder, name);
  const agent = { env: { swarm: { openStream }, socketFor, clock } } as unknown as Agent;
  const outlet = (...args: ConstructorParameters<typeof MemoryOutlet>): MemoryOutlet => new MemoryOutlet(...args);
  const vm = { name: 'desk', machinery: { outlet } } as unknown as Vm;
  const sender = new MemorySender(agent, { vm, to: 'other' as HostId, migration: 'one' }, ({ message }) => {
    cuts.push(message);
  });
  t.teardown(() => sender.stop());
  const address = await sender.start();
  const qemu = net.connect(address.replace('unix:', ''));
  t.teardown(() => qemu.destroy());
  qemu.on('error', () => {});
  await once(qemu, 'connect');
  return { sender, qemu, clock, cuts, cut: await opened.promise };
}

/** Whether all of it was taken; false when the connection broke. */
function writes(qemu: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    qemu.once('close', () => resolve(false));
    qemu.write(new Uint8Array(MUCH_BYTES), (error) => resolve(error === undefined || error === null));
  });
}

async function closesWith(sender: MemorySender, qemu: net.Socket): Promise<void> {
  const closed = new Promise((resolve) => qemu.resume().once('close', resolve));
  await sender.stop();
  await closed;
}

test('QEMU gets rid of its bytes after the other host cut the stream, and the runner hears of it', async (t) => {
  const { sender, qemu, clock, cuts, cut } = await startWorld(t);
  sender.keep();
  const written = writes(qemu);
  cut();
  t.true(await written);
  t.false(qemu.destroyed);
  clock.advance(1000);
  t.deepEqual(cuts, ['what carried its memory broke: the other host cut the stream']);
  await closesWith(sender, qemu);
});

test('one that is given up lets QEMU go on until it is stopped', async (t) => {
  const { sender, qemu, clock, cuts } = await startWorld(t);
  sender.keep();
  const written = writes(qemu);
  sender.giveUp();
  t.true(await written);
  t.false(qemu.destroyed);
  await closesWith(sender, qemu);
  clock.advance(1000);
  t.deepEqual(cuts, [], 'nobody is told after the end');
});

test('before it is kept, QEMU learns from its connection, and it cannot be kept any more', async (t) => {
  const { sender, qemu, cut } = await startWorld(t);
  const written = writes(qemu);
  cut();
  t.false(await written);
  t.throws(() => sender.keep(), { code: 'MIGRATION_FAILED' });
});
