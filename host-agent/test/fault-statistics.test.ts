/** What a disk tells of its guests' waits, and of whom they waited for. */
import type { HostId } from '@diskswarm/core';
import test from 'ava';
import { FaultStatistics } from '../src/agent/fault-statistics.ts';

const host = (number: number): HostId => number.toString(16).padStart(136, '0') as HostId;

test('how long fetches took is told by the host that brought the chunk', (t) => {
  const statistics = new FaultStatistics();
  for (let fault = 0; fault < 3; fault++)
    statistics.fetched({ host: host(1), queueUs: 100, networkUs: 2000, verifyUs: 28 });
  statistics.fetched({ host: host(2), queueUs: 0, networkUs: 60_000, verifyUs: 0 });
  const { bySource } = statistics.faults();
  t.deepEqual(Object.keys(bySource), [host(1), host(2)]);
  t.like(bySource[host(1)], { count: 3, max: 2128 });
  t.like(bySource[host(2)], { count: 1, max: 60_000 });
});

test('of more than 64 hosts the first are told; all count in the whole', (t) => {
  const statistics = new FaultStatistics();
  for (let number = 1; number <= 70; number++)
    statistics.fetched({ host: host(number), queueUs: 0, networkUs: number, verifyUs: 0 });
  const { bySource, latencyUs } = statistics.faults();
  t.is(Object.keys(bySource).length, 64);
  t.is(latencyUs.network.max, 70);
});
