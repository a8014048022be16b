import test from 'ava';
import { identityOf } from '../src/state/process-identity.ts';
import { guestMemoryInUse, residentOf } from '../src/vm/guest-memory.ts';

const mapping = (sizeKib: number, rssKib: number): string =>
  `7f00-7f01 rw-p 00000000 00:00 0\nSize:${String(sizeKib).padStart(16)} kB\nKernelPageSize: 4 kB\nRss:${String(rssKib).padStart(17)} kB\nPss: 1 kB\n`;

test('the smallest mapping that can hold the memory is the memory', (t) => {
  const text = [mapping(1_048_576, 900), mapping(131_072, 70_000), mapping(4_096, 4_096), mapping(131_076, 5)].join('');
  t.is(residentOf(text, 128 * 1024 * 1024), 70_000 * 1024);
});

test('nothing that fits, or no text at all, is not known', (t) => {
  t.is(residentOf(mapping(4_096, 4_096), 128 * 1024 * 1024), null);
  t.is(residentOf('', 4096), null);
});

test('more than the memory is never in use', (t) => {
  t.is(residentOf(mapping(1_048_576, 500_000), 128 * 1024 * 1024), 128 * 1024 * 1024);
});

test('a process that is not the one that was meant is not looked at', async (t) => {
  const identity = identityOf(process.pid);
  t.is(typeof (await guestMemoryInUse(identity, 4096)), 'number');
  t.is(await guestMemoryInUse({ ...identity, startTicks: 1 }, 4096), null);
});
