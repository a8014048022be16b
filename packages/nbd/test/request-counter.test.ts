/** What an export counts of its clients: every request once, by what became of it, over all connections. */
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { NO_REQUESTS, RequestCounter } from '../src/index.ts';
import { MemoryBacking } from './support/memory-backing.ts';
import { TestClient } from './support/test-client.ts';

const COMMAND = { read: 0, write: 1, flush: 3, trim: 4, cache: 5, zero: 6 } as const;

test('requests count by kind, with their bytes, over two connections', (t) => {
  const backing = new MemoryBacking(1 << 20);
  const counter = new RequestCounter();
  const clients = [TestClient.in(backing, { counter }), TestClient.in(backing, { counter })];
  for (const client of clients) {
    client.send(
      { command: COMMAND.read, length: 4096 },
      { command: COMMAND.write, data: new Uint8Array(512) },
      { command: COMMAND.trim, length: 8192 },
      { command: COMMAND.zero, length: 4096 },
      { command: COMMAND.flush },
    );
  }
  t.deepEqual(counter.counts, {
    requests: { ...NO_REQUESTS.requests, read: 2, write: 2, trim: 2, zero: 2, flush: 2 },
    readBytes: 8192,
    writtenBytes: 1024,
    refused: 0,
    failed: 0,
  });
});

test('what is refused counts as that alone; what fails was a request', (t) => {
  const backing = new MemoryBacking(1 << 20);
  const counter = new RequestCounter();
  const client = TestClient.in(backing, { counter });
  client.send(
    { command: COMMAND.read, offset: 1 << 20, length: 4096 },
    { command: 99, length: 0 },
    { command: COMMAND.write, offset: 1 << 20, data: new Uint8Array(512) },
  );
  backing.failing = new DiskswarmError('READ_FAILED', 'a broken disk');
  client.send({ command: COMMAND.read, length: 4096 });
  const { requests, readBytes, writtenBytes, refused, failed } = counter.counts;
  t.deepEqual(requests, { ...NO_REQUESTS.requests, read: 1 });
  t.deepEqual(
    { readBytes, writtenBytes, refused, failed },
    { readBytes: 4096, writtenBytes: 0, refused: 3, failed: 1 },
  );
});
