/** The shipped composition over real sockets: two and three hosts, strangers at the port, what it costs in memory. */
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { blake3, type Connection } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { laneProof } from '@diskswarm/identity';
import test, { type ExecutionContext } from 'ava';
import { createTlsTransport } from '../src/transport/index.ts';
import {
  chunkOf,
  generationOne,
  offered,
  piece,
  TestDisk,
  TestHost,
  type TestMembership,
} from './helpers/test-host.ts';
import { serveAll } from './helpers/world.ts';

function makeHost(t: ExecutionContext): TestHost {
  const host = new TestHost(createTlsTransport(), systemClock, systemRandom);
  t.teardown(() => host.swarm.stop());
  return host;
}

/** Looks again at every turn of the event loop; ava's own time limit ends a wait that is in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

async function pull(membership: TestMembership, count: number): Promise<Uint8Array[]> {
  const channel = membership.ready[0]!;
  const indexes = new Map<number, number>();
  const chunks: Uint8Array[] = [];
  let next = 0;
  let taken = 0;
  while (taken < count) {
    while (next < count && indexes.size < 32) {
      const token = channel.request({
        generation: generationOne,
        piece: piece(next),
        lane: next % 8 === 0 ? 'control' : 'bulk',
      });
      if (token === null) break;
      indexes.set(token, next++);
    }
    await until(() => membership.pieces.length > 0);
    for (const { token, bytes } of membership.pieces.splice(0)) {
      chunks[indexes.get(token)!] = blake3(bytes);
      indexes.delete(token);
      channel.release(bytes);
      taken += 1;
    }
  }
  return chunks;
}

test('three hosts on loopback: rosters spread, chunks arrive whole on both lanes', async (t) => {
  const [home, office, hotel] = [makeHost(t), makeHost(t), makeHost(t)];
  const disk = new TestDisk(home.id, systemRandom);
  disk.grant(office.id);
  const addressOfHome = await home.swarm.start({ listen: '127.0.0.1:0' });
  await office.swarm.start({ listen: '127.0.0.1:0' });
  await hotel.swarm.start();
  const atHome = home.join(disk);
  const atOffice = office.join(disk);
  serveAll(atHome);
  disk.grant(hotel.id);
  const atHotel = hotel.join(disk);
  office.swarm.addPeerAddress(disk.genesis.disk, addressOfHome!, 'peer');
  await until(() => atHome.ready.length === 1);
  atHome.take(disk.roster);
  hotel.swarm.addPeerAddress(disk.genesis.disk, addressOfHome!, 'peer');
  await until(() => atHome.ready.length === 2 && atOffice.roster.sequence === disk.roster.sequence);
  for (const channel of atHome.ready) channel.openGeneration(offered(120));
  await until(() => atOffice.generations.length === 1 && atHotel.generations.length === 1);
  const [first, second] = await Promise.all([pull(atOffice, 120), pull(atHotel, 120)]);
  const expected = Array.from({ length: 120 }, (_, index) => blake3(chunkOf(index, 65_536)));
  t.deepEqual(first, expected);
  t.deepEqual(second, expected);
  t.is(atHome.ready[0]!.sent.totalBytes, 120 * 65_536);
  t.is(hotel.swarm.peers()[0]!.address, addressOfHome!);
});

test('strangers that send without end cost no memory and disturb nobody', async (t) => {
  const home = makeHost(t);
  const office = makeHost(t);
  const disk = new TestDisk(home.id, systemRandom);
  disk.grant(office.id);
  const address = await home.swarm.start({ listen: '127.0.0.1:0' });
  await office.swarm.start();
  const atHome = home.join(disk);
  const atOffice = office.join(disk);
  serveAll(atHome);
  const port = Number(address!.split(':')[1]);
  const raw = connect(port, '127.0.0.1').on('error', () => undefined);
  raw.write(new Uint8Array(100_000).fill(0x16));
  const silent = await createTlsTransport().dial(address!, { timeoutMs: 5000 });
  const knowing = await createTlsTransport().dial(address!, { timeoutMs: 5000 });
  const before = usedBytes();
  await Promise.all([pour(silent, null), pour(knowing, laneProof(disk.secret, knowing.binding, 'initiator'))]);
  const grownBytes = usedBytes() - before;
  t.true(grownBytes < 16 * 1024 * 1024, `${grownBytes} bytes more after 128 MiB of garbage`);
  office.swarm.addPeerAddress(disk.genesis.disk, address!, 'peer');
  await until(() => atHome.ready.length === 1);
  atHome.ready[0]!.openGeneration(offered(10));
  await until(() => atOffice.generations.length === 1);
  t.is((await pull(atOffice, 10)).length, 10);
  raw.destroy();
  silent.destroy();
  knowing.destroy();
});

/** What is in use once garbage is collected. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  collect();
  collect(); // Arrays that the first one found unused are freed beside it, and counted until the next.
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Sends 64 MiB of garbage, behind a proof or without one. */
async function pour(connection: Connection, proof: Uint8Array | null): Promise<void> {
  let drained: () => void = () => undefined;
  connection.start({ onData: () => undefined, onDrain: () => drained(), onClose: () => drained() });
  if (proof !== null) connection.write([proof]);
  const garbage = new Uint8Array(1024 * 1024).fill(0x5a);
  for (let count = 0; count < 64; count++) {
    const waiting = new Promise<void>((resolve) => {
      drained = resolve;
    });
    if (!connection.write([garbage])) await waiting;
  }
  // What waits here is the sender's memory, not the receiver's.
  await until(() => connection.queuedBytes === 0);
}
