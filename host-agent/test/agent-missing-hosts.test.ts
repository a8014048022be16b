/** Which hosts are sought by way of others, and when. */
import type { Address, DiskId, HostId } from '@diskswarm/core';
import { relayAddressOf } from '@diskswarm/swarm';
import test from 'ava';
import { MissingHosts, type SharedDisk } from '../src/agent/missing-hosts.ts';
import { TestClock } from './support/test-clock.ts';

const host = (value: number): HostId => value.toString(16).padStart(136, '0') as HostId;
const disk = (value: number): DiskId => value.toString(16).padStart(64, '0') as DiskId;
const [self, home, office, gone] = [host(0), host(1), host(2), host(3)];

function start(disks: SharedDisk[], connected: HostId[]) {
  const clock = new TestClock();
  const sought: { disk: DiskId; address: Address }[] = [];
  const missing = new MissingHosts({
    clock,
    self,
    disks: () => disks,
    connected: () => connected,
    onMissing: (of, address) => sought.push({ disk: of, address }),
  });
  missing.start();
  return { clock, missing, sought };
}

function diskWith(value: number, hosts: readonly HostId[]): SharedDisk {
  const members = hosts.map((each) => ({
    host: each,
    role: 'reader' as const,
    ...(each === gone ? { revoked: { epoch: 1, sequence: 1 } } : {}),
  }));
  return { disk: disk(value), roster: { members } };
}

test('sought are members that no direct way led to for a while, not oneself, nor who is connected or revoked', (t) => {
  const connected = [home];
  const { clock, missing, sought } = start([diskWith(1, [self, home, office, gone])], connected);
  clock.advance(900);
  t.deepEqual(sought, []);
  clock.advance(600);
  t.deepEqual(sought, [{ disk: disk(1), address: relayAddressOf(office) }]);
  connected.push(office);
  sought.length = 0;
  clock.advance(60_000);
  t.deepEqual(sought, []);
  connected.pop();
  clock.advance(10_000);
  t.true(sought.length > 0);
  missing.stop();
  missing.stop();
  sought.length = 0;
  clock.advance(60_000);
  t.deepEqual(sought, []);
});

test('while nobody is connected nobody is sought, and then patience begins anew', (t) => {
  const connected: HostId[] = [];
  const { clock, sought } = start([diskWith(1, [self, home, office])], connected);
  clock.advance(60_000);
  t.deepEqual(sought, []);
  connected.push(home);
  clock.advance(900);
  t.deepEqual(sought, []);
  clock.advance(1_000);
  t.deepEqual([...new Set(sought.map(({ address }) => address))], [relayAddressOf(office)]);
});

test('a host of two disks is sought for both; of a crowd a bounded part', (t) => {
  const crowd = Array.from({ length: 1_000 }, (_, index) => host(index + 10));
  const { clock, sought } = start([diskWith(1, [home, ...crowd]), diskWith(2, [home, ...crowd])], [home]);
  clock.advance(1_500);
  t.is(new Set(sought.map(({ address }) => address)).size, 128);
  t.is(sought.length, 256);
});
