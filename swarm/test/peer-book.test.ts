/** Which addresses are kept, which are due, and who named them. */
import type { Address, DiskId, HostId } from '@diskswarm/core';
import { createHostKeys } from '@diskswarm/identity';
import test from 'ava';
import { dhtAddressOf } from '../src/discovery/dht-address.ts';
import { type AddressSource, relayAddressOf } from '../src/index.ts';
import { PeerBook } from '../src/peer-book.ts';
import { TestRandom } from './helpers/test-clock.ts';

const disk = 'dd'.repeat(32) as DiskId;
const office = createHostKeys(new TestRandom(1)).hostId;
const nobody = (): boolean => false;
const SECOND_US = 1_000_000;
const DAY_US = 86_400 * SECOND_US;

/** Dials in vain, again and again; how often until the address was forgotten, or a hundred times. */
function failures(address: Address, source: AddressSource): number {
  const book = new PeerBook(new TestRandom(2));
  book.add(disk, address, source);
  let count = 0;
  while (book.size > 0 && count < 100) {
    count += 1;
    if (book.takeDue(count * DAY_US, 1, nobody).length === 1) book.failed(address, count * DAY_US);
  }
  return count;
}

test('what was only found is forgotten when it leads nowhere, what people and hosts named is not', (t) => {
  for (const source of ['tracker', 'lan', 'dht', 'relay'] as const) t.is(failures('10.0.0.1:7', source), 8, source);
  for (const source of ['peer', 'session'] as const) t.is(failures('10.0.0.1:7', source), 100, source);
  // A key of the DHT ends with its host's run, and a way through others may end: whoever named them.
  for (const source of ['peer', 'session'] as const) {
    t.is(failures(dhtAddressOf(new Uint8Array(32)), source), 8, source);
    t.is(failures(relayAddressOf(office), source), 8, source);
  }
});

test('a call on the LAN makes the next dial due at once, other news of the same address does not', (t) => {
  const book = new PeerBook(new TestRandom(3));
  book.add(disk, '10.0.0.1:7', 'tracker');
  for (let count = 0; count < 5; count += 1) {
    book.takeDue(count * DAY_US, 1, nobody);
    book.failed('10.0.0.1:7', count * DAY_US);
  }
  const nowUs = 4 * DAY_US + SECOND_US;
  for (const source of ['tracker', 'dht', 'peer'] as const) {
    book.add(disk, '10.0.0.1:7', source);
    t.deepEqual(book.takeDue(nowUs, 1, nobody), [], source);
  }
  book.add(disk, '10.0.0.1:7', 'lan');
  t.is(book.takeDue(nowUs, 1, nobody).length, 1);
  // Not a second time while that dial is under way.
  book.add(disk, '10.0.0.1:7', 'lan');
  t.deepEqual(book.takeDue(nowUs, 1, nobody), []);
});

test('a host that is connected is not sought by way of others', (t) => {
  const book = new PeerBook(new TestRandom(4));
  book.add(disk, relayAddressOf(office), 'relay');
  const isOffice = (host: HostId): boolean => host === office;
  t.deepEqual(book.takeDue(0, 1, isOffice), []);
  t.is(book.nextDueUs(isOffice), null);
  t.is(book.takeDue(0, 1, nobody)[0]?.address, relayAddressOf(office));
});
