/** A stream that is cut does not cut QEMU's connection, so that QEMU can still be told what became of its migration. */
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
async function startWorld(t: ExecutionContext, memoryMode: 'precopy' | 'postcopy'): Promise<World> {
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
  const sender = new MemorySender(agent, { vm, to: 'other' as HostId, migration: 'one', memoryMode }, ({ message }) =>
    cuts.push(message),
  );
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

test('QEMU gets rid of its bytes after the other host cut the stream, and the runner hears of it', async (t) => {
  const { sender, qemu, clock, cuts, cut } = await startWorld(t, 'precopy');
  const written = writes(qemu);
  cut();
  t.true(await written);
  t.false(qemu.destroyed);
  clock.advance(1000);
  t.deepEqual(cuts, ['the other host cut the stream']);
  const closed = new Promise((resolve) => qemu.resume().once('close', resolve));
  await sender.stop();
  await closed;
});

test('one that is given up lets QEMU go on until it is stopped, and tells nobody', async (t) => {
  const { sender, qemu, clock, cuts } = await startWorld(t, 'precopy');
  const written = writes(qemu);
  sender.giveUp();
  t.true(await written);
  t.false(qemu.destroyed);
  clock.advance(1000);
  t.deepEqual(cuts, []);
  const closed = new Promise((resolve) => qemu.resume().once('close', resolve));
  await sender.stop();
  await closed;
});

test('with post-copy QEMU has to know that its connection is gone', async (t) => {
  const { qemu, cut } = await startWorld(t, 'postcopy');
  const written = writes(qemu);
  cut();
  t.false(await written);
});
